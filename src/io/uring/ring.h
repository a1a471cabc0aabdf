// Ring: the kernel's queues of submissions and completions (io_uring), set up, mapped and spoken to by the
// bare system calls. All that is needed of them is two pairs of indices, and one call a turn with exactly our
// flags.
#pragma once

#include <linux/io_uring.h>
#include <sys/socket.h>
#include <time.h>

#include <cstddef>
#include <expected>
#include <memory>
#include <string>
#include <vector>

namespace sluice::io {

/// Made on any thread; `enable` says whose it is.
class Ring {
 public:
  static constexpr unsigned kSubmissions = 512;
  static constexpr unsigned kCompletions = 4096;

  /// The error says in words what the system refused.
  static std::expected<std::unique_ptr<Ring>, std::string> open();
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;
  ~Ring();

  /// From now on only the calling thread submits and waits. More calls do nothing.
  void enable();
  /// Before that thread ends.
  void disable();
  bool enabled() const { return enabled_; }

  /// An empty entry, submitted with the next `enter`; what it points to must live until then.
  io_uring_sqe& next_submission();
  /// A place for the header of a message that `entry` sends; lives as long as the entry.
  msghdr& message_of(const io_uring_sqe& entry) { return messages_[static_cast<size_t>(&entry - entries_)]; }
  /// Of the entries with this `user_data`, unless the kernel has taken them already, nothing is made: they
  /// complete with 0. True: there was one.
  bool withdraw(uint64_t user_data);
  bool has_submissions() const { return submitted_ != queued_; }

  /// Submits, lets the kernel complete, and waits until there is a completion: not at all when `timeout` is
  /// null and `forever` false.
  void enter(const timespec* timeout, bool forever);
  unsigned completions() const;
  bool has_completions() const { return completions() > 0; }
  bool pop(io_uring_cqe& completion);

  /// A ring of `count` buffers, a power of two, at `memory`; zero or errno.
  int register_buffers(void* memory, unsigned count, unsigned short group);

 private:
  Ring() : messages_(kSubmissions) {}
  std::expected<void, std::string> set_up();
  std::expected<void, std::string> map(const io_uring_params& parameters);
  void submit();
  void call(unsigned submit_count, unsigned wait_count, unsigned flags, const void* argument, size_t size);

  int descriptor_ = -1;
  int registered_ = -1;  // the descriptor's index in the thread's own table
  bool enabled_ = false;
  void* queues_ = nullptr;  // both, in one mapping
  size_t queues_bytes_ = 0;
  io_uring_sqe* entries_ = nullptr;
  size_t entries_bytes_ = 0;
  unsigned* submission_head_ = nullptr;
  unsigned* submission_tail_ = nullptr;
  unsigned submission_mask_ = 0;
  unsigned submission_count_ = 0;
  unsigned* completion_head_ = nullptr;
  unsigned* completion_tail_ = nullptr;
  unsigned completion_mask_ = 0;
  const io_uring_cqe* completions_ = nullptr;
  unsigned queued_ = 0;     // entries filled in so far
  unsigned submitted_ = 0;  // entries the kernel has taken so far
  std::vector<msghdr> messages_;
};

}  // namespace sluice::io
