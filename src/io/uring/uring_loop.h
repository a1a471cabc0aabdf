// The io_uring back-end: operations are queued in memory, submitted together once a turn, and tell when they
// are complete.
#pragma once

#include <linux/io_uring.h>

#include <memory>
#include <string>
#include <vector>

#include "io/system_loop.h"

namespace sluice::io {

class BufferRing;
class Ring;

/// What can be in flight for a target, each kind at most once.
enum class Operation : uint8_t { kNone, kReceive, kPoll, kSend, kConnect, kAccept };

/// Whoever has operations in flight.
class UringTarget {
 public:
  /// `result` and `flags` as the kernel gave them; without IORING_CQE_F_MORE it was the operation's last one.
  virtual void on_completion(Operation operation, int result, uint32_t flags) = 0;

 protected:
  ~UringTarget() = default;
};

/// A target may go while operations are in flight: they are cancelled, and their completions are looked after
/// here. What the kernel may still write into belongs to the loop.
class UringLoop final : public SystemLoop {
 public:
  /// Throws std::runtime_error when the system refuses.
  explicit UringLoop(uint64_t seed);
  ~UringLoop() override;

  void let_go() override;
  Result<std::unique_ptr<Listener>> listen(const Address& address, ListenOptions options) override;
  Task<Result<std::unique_ptr<Stream>>> connect(Address address, CancelToken& token) override;
  Result<std::unique_ptr<DatagramSocket>> open_datagrams(const Address& local,
                                                         const DatagramOptions& options) override;

  // --- for streams and listeners ---
  using Slot = uint32_t;
  Slot add(UringTarget& target);
  void remove(Slot slot);
  /// An entry for the next submission, without its operation's own fields.
  io_uring_sqe& prepare(Slot slot, Operation operation);
  /// Its last completion is still to come, most often with ECANCELED.
  void cancel(Slot slot, Operation operation);
  bool in_flight(Slot slot, Operation operation) const { return slots_[slot].in_flight & bit(operation); }
  Ring& ring() { return *ring_; }
  BufferRing& lent() { return *lent_; }
  /// Much has come in this turn: what is submitted now leaves together with more.
  bool busy() const { return busy_; }
  /// When the turn before this one began. What came until its end is told of in this one at the latest, even
  /// if it has been fetched since: a poll says what woke it.
  Instant turn_before() const { return turn_before_; }
  /// Whether a receive that completes again and again can be told when to end: since Linux 6.17. Tried by the
  /// first.
  bool caps_receives() const { return caps_receives_; }
  void cap_no_receives() { caps_receives_ = false; }
  /// In flight, of all slots.
  size_t operations() const { return operations_; }

 private:
  struct Registered {
    UringTarget* target;  // null: gone, or free
    Slot next_free;
    uint8_t in_flight;  // a bit for each Operation
  };
  class Waker;

  static uint8_t bit(Operation operation) {
    return static_cast<uint8_t>(1u << static_cast<unsigned>(operation));
  }
  void begin() override;
  bool has_events() override;
  void wait(Duration timeout) override;
  void dispatch() override;
  void wake() override;
  void complete(const io_uring_cqe& completion);
  void complete_without_target(Operation operation, int result, uint32_t flags);
  void free_slot(Slot slot);

  std::unique_ptr<Ring> ring_;
  std::unique_ptr<BufferRing> lent_;
  std::vector<Registered> slots_;
  Slot first_free_;
  size_t operations_ = 0;
  bool caps_receives_ = true;
  bool busy_ = false;
  Instant turn_{};
  Instant turn_before_{};
  int wake_ = -1;
  std::unique_ptr<Waker> waker_;
};

}  // namespace sluice::io
