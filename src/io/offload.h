// Offload: where what must not run on a loop is done, work that blocks or computes for long. OffloadPool does
// it on threads.
#pragma once

#include <condition_variable>
#include <coroutine>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <type_traits>
#include <vector>

#include "io/error.h"
#include "io/loop.h"
#include "io/task.h"

namespace sluice::io {

/// Shared by all loops. Work that has begun cannot be cancelled: whoever asked waits for its end, so that it
/// may use what the asker owns.
class Offload {
 public:
  virtual ~Offload() = default;

  /// Runs `work` elsewhere; called and resumed on `loop`. kFull: the queue is, and nothing ran.
  /// What `work` throws is thrown here.
  template <class Work>
  Task<Result<std::invoke_result_t<Work&>>> run(Loop& loop, Work work) {
    using Value = std::invoke_result_t<Work&>;
    std::optional<Result<Value>> value;
    std::exception_ptr error;
    // It refers to this frame, which waits for it.
    Job job = [&] {
      try {
        if constexpr (std::is_void_v<Value>) {
          work();
          value.emplace();
        } else {
          value.emplace(work());
        }
      } catch (...) {
        error = std::current_exception();
      }
    };
    bool accepted = co_await Handover{*this, loop, job};
    if (!accepted) co_return fail(ErrorCode::kFull);
    if (error) std::rethrow_exception(error);
    co_return std::move(*value);
  }

 protected:
  using Job = std::function<void()>;
  struct Queued {
    Job* job;
    Loop* loop;
    std::coroutine_handle<> waiter;
  };
  /// Takes the job, runs it and then sends the waiter home; false: there is no room for it.
  virtual bool submit(Queued queued) = 0;
  static void send_home(const Queued& done) {
    done.loop->post([loop = done.loop, waiter = done.waiter] { loop->ready(waiter); });
  }

 private:
  struct Handover {
    Offload& offload;
    Loop& loop;
    Job& job;
    bool accepted = false;
    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> waiter) {
      // The loop cannot resume the waiter before this call has returned.
      accepted = offload.submit({&job, &loop, waiter});
      return accepted;
    }
    bool await_resume() const noexcept { return accepted; }
  };
};

class OffloadPool final : public Offload {
 public:
  /// `queue_max`: jobs that wait for a thread.
  OffloadPool(size_t threads, size_t queue_max);
  OffloadPool(const OffloadPool&) = delete;
  OffloadPool& operator=(const OffloadPool&) = delete;
  /// Runs what is queued, then ends the threads. The loops of those who wait are still there.
  ~OffloadPool() override;

 private:
  bool submit(Queued queued) override;
  void run_thread();

  const size_t queue_max_;
  std::mutex mutex_;
  std::condition_variable wanted_;
  std::deque<Queued> queue_;
  size_t idle_;  // threads without a job
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace sluice::io
