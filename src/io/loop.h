// Loop: one thread's event loop. What runs on it sees time, randomness, timers, buffers and the network only
// through it, so that the simulator can take its place.
#pragma once

#include <atomic>
#include <coroutine>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "base/random.h"
#include "base/time.h"
#include "io/buffer.h"
#include "io/datagram.h"
#include "io/error.h"
#include "io/frame_pool.h"
#include "io/stream.h"
#include "io/task.h"
#include "io/timer.h"

namespace sluice::io {

struct ListenOptions {
  bool reuse_port = false;  // several loops listen on one address, the kernel shares connections out
  int backlog = 4096;
  int inherited = -1;  // a socket that listens there already and is taken over instead of a new one
};

class Loop {
 public:
  using Message = std::move_only_function<void()>;

  explicit Loop(uint64_t seed) : random_(seed) {}
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  virtual ~Loop() = default;

  /// The instant at which this turn began.
  Instant now() const { return now_; }
  /// The same instant on the wall.
  WallTime wall_now() const { return wall_now_; }
  Random& random() { return random_; }
  FramePool& frames() { return frames_; }
  BufferPool& buffers() { return buffers_; }
  TimerWheel& timers() { return timers_; }

  /// Resumes `waiter` in the next pass over the queue, never inline.
  void ready(std::coroutine_handle<> waiter) { ready_.push_back(waiter); }

  /// Runs `message` on the loop's thread, in the order posted. The only call that another thread may make.
  void post(Message message);

  virtual Result<std::unique_ptr<Listener>> listen(const Address& address, ListenOptions options) = 0;
  /// Connects, until `token` is cancelled; the stream is bound to no token.
  virtual Task<Result<std::unique_ptr<Stream>>> connect(Address address, CancelToken& token) = 0;
  /// A socket for datagrams, bound to `local`; it is bound to no token.
  virtual Result<std::unique_ptr<DatagramSocket>> open_datagrams(const Address& local,
                                                                 const DatagramOptions& options) = 0;

  /// Told around each wait that may last: between the two calls nothing runs on the loop.
  class Observer {
   public:
    virtual void before_wait() = 0;
    virtual void after_wait() = 0;
    /// Once a turn that did not wait.
    virtual void between_turns() = 0;

   protected:
    ~Observer() = default;
  };
  /// At most one; null for none.
  void observe(Observer* observer) { observer_ = observer; }

  /// Nanoseconds spent outside of waiting so far, for the busy ratio; only this loop writes it.
  int64_t busy_nanoseconds() const { return busy_.load(std::memory_order_relaxed); }

  /// `co_await loop.yield()`: lets everybody else have a turn; for loops that may never wait.
  auto yield() {
    struct Awaiter {
      Loop& loop;
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> waiter) const { loop.ready(waiter); }
      void await_resume() const noexcept {}
    };
    return Awaiter{*this};
  }

 protected:
  void set_time(Instant now, WallTime wall) {
    now_ = now;
    wall_now_ = wall;
  }
  void add_busy(int64_t ns) {
    busy_.store(busy_.load(std::memory_order_relaxed) + ns, std::memory_order_relaxed);
  }
  Observer* observer() { return observer_; }
  bool has_ready() const { return !ready_.empty(); }
  /// One pass: resumes what is queued now; what that queues waits for the next pass.
  void run_ready();
  /// Runs what was posted so far.
  void run_posted();
  /// Another thread posted the first message of a batch.
  virtual void wake() = 0;

 private:
  Instant now_{};
  WallTime wall_now_{};
  Random random_;
  FramePool frames_;
  BufferPool buffers_;
  TimerWheel timers_;
  Observer* observer_ = nullptr;
  std::vector<std::coroutine_handle<>> ready_;
  std::vector<std::coroutine_handle<>> running_;
  std::atomic<int64_t> busy_{0};

  std::mutex posted_mutex_;  // the mailbox; never taken on a request's path
  std::vector<Message> posted_;
};

/// The loop that runs on this thread; null outside of one.
extern thread_local constinit Loop* current_loop;

/// Makes `loop` the current one for a while: what a back-end does around each stretch of its work.
class CurrentLoop {
 public:
  explicit CurrentLoop(Loop& loop) : before_(current_loop) { current_loop = &loop; }
  CurrentLoop(const CurrentLoop&) = delete;
  CurrentLoop& operator=(const CurrentLoop&) = delete;
  ~CurrentLoop() { current_loop = before_; }

 private:
  Loop* before_;
};

}  // namespace sluice::io
