// Task<T>: a lazy coroutine that is awaited once. Frames come from the loop's pool; awaiting is symmetric
// transfer.
#pragma once

#include <cassert>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <optional>
#include <utility>

#include "io/frame_pool.h"

namespace sluice::io {

namespace detail {

/// Told when a task that nobody awaits has ended; what it returns is resumed next.
class TaskOwner {
 public:
  virtual std::coroutine_handle<> task_ended(std::coroutine_handle<> task,
                                             std::exception_ptr error) noexcept = 0;

 protected:
  ~TaskOwner() = default;
};

struct PromiseBase {
  std::coroutine_handle<> continuation;
  TaskOwner* owner = nullptr;  // set instead of the continuation when the task was spawned
  std::exception_ptr error;

  static void* operator new(size_t bytes) { return allocate_frame(bytes); }
  static void operator delete(void* block, size_t bytes) { release_frame(block, bytes); }

  std::suspend_always initial_suspend() const noexcept { return {}; }
  void unhandled_exception() noexcept { error = std::current_exception(); }

  struct Final {
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> ended) const noexcept {
      PromiseBase& promise = ended.promise();
      if (promise.owner) return promise.owner->task_ended(ended, std::move(promise.error));
      return promise.continuation;
    }
    void await_resume() const noexcept {}
  };
  Final final_suspend() const noexcept { return {}; }
};

template <class T>
struct Promise : PromiseBase {
  std::optional<T> value;
  template <class U>
  void return_value(U&& result) {
    value.emplace(std::forward<U>(result));
  }
  T take() {
    if (error) std::rethrow_exception(error);
    return std::move(*value);
  }
};

template <>
struct Promise<void> : PromiseBase {
  void return_void() const noexcept {}
  void take() const {
    if (error) std::rethrow_exception(error);
  }
};

}  // namespace detail

/// Starts when it is awaited (or spawned in a TaskScope) and must then run to its end before it is destroyed:
/// a suspended frame is never destroyed, for somebody may still write into its buffers.
template <class T = void>
class [[nodiscard]] Task {
 public:
  struct promise_type : detail::Promise<T> {
    Task get_return_object() noexcept {
      return Task(std::coroutine_handle<promise_type>::from_promise(*this));
    }
  };

  Task() = default;
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      destroy();
      handle_ = std::exchange(other.handle_, nullptr);
    }
    return *this;
  }
  ~Task() { destroy(); }

  explicit operator bool() const { return handle_ != nullptr; }

  auto operator co_await() && noexcept {
    struct Awaiter {
      std::coroutine_handle<promise_type> task;
      bool await_ready() const noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<> waiter) const noexcept {
        task.promise().continuation = waiter;
        return task;
      }
      T await_resume() const { return task.promise().take(); }
    };
    return Awaiter{handle_};
  }

  /// Gives the frame away; the caller sees to it that it is destroyed after it has ended.
  std::coroutine_handle<promise_type> release() { return std::exchange(handle_, nullptr); }

 private:
  explicit Task(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
  void destroy() {
    if (handle_) handle_.destroy();
  }
  std::coroutine_handle<promise_type> handle_;
};

}  // namespace sluice::io
