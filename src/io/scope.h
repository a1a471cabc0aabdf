// TaskScope: owns tasks that run beside their parent. Leaving a scope means waiting for them: `co_await
// scope.join()`.
#pragma once

#include <cassert>
#include <coroutine>
#include <cstdint>
#include <exception>

#include "io/task.h"

namespace sluice::io {

/// Not thread-safe: a scope and its tasks live on one loop. It must be empty when it is destroyed.
class TaskScope final : private detail::TaskOwner {
 public:
  TaskScope() = default;
  TaskScope(const TaskScope&) = delete;
  TaskScope& operator=(const TaskScope&) = delete;
  ~TaskScope() { assert(active_ == 0); }

  /// Runs `task` at once until it first waits, then beside the caller.
  void spawn(Task<void> task) {
    auto handle = task.release();
    handle.promise().owner = this;
    ++active_;
    handle.resume();
  }
  uint32_t active() const { return active_; }

  /// Waits until every task has ended; rethrows the first exception that one of them left. One waiter at a
  /// time.
  auto join() {
    struct Awaiter {
      TaskScope& scope;
      bool await_ready() const noexcept { return scope.active_ == 0; }
      void await_suspend(std::coroutine_handle<> waiter) const noexcept { scope.joiner_ = waiter; }
      void await_resume() const {
        if (scope.error_) std::rethrow_exception(std::exchange(scope.error_, nullptr));
      }
    };
    return Awaiter{*this};
  }

 private:
  std::coroutine_handle<> task_ended(std::coroutine_handle<> task,
                                     std::exception_ptr error) noexcept override {
    if (error && !error_) error_ = std::move(error);
    task.destroy();
    if (--active_ == 0 && joiner_) return std::exchange(joiner_, nullptr);
    return std::noop_coroutine();
  }

  std::coroutine_handle<> joiner_;
  std::exception_ptr error_;
  uint32_t active_ = 0;
};

}  // namespace sluice::io
