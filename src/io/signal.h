// One coroutine that waits until it is told to look again, or until a token is cancelled.
#pragma once

#include <coroutine>
#include <utility>

#include "io/cancel.h"
#include "io/loop.h"

namespace sluice::io {

/// Telling while nobody waits has no effect: who waits looks at what it waits for first.
class Signal final : private Cancellable {
 public:
  explicit Signal(Loop& loop) : loop_(loop) {}
  ~Signal() { assert(!waiter_); }

  struct Await {
    Signal& signal;
    CancelToken* token;
    bool await_ready() const { return token && token->cancelled(); }
    void await_suspend(std::coroutine_handle<> waiter) const {
      signal.waiter_ = waiter;
      if (token) signal.bind(*token);
    }
    void await_resume() const {}
  };
  /// Returns at once when `token` is cancelled.
  Await wait(CancelToken& token) { return {*this, &token}; }
  /// Whatever is cancelled.
  Await wait_anyway() { return {*this, nullptr}; }
  void tell() {
    if (!waiter_) return;
    unbind();
    loop_.ready(std::exchange(waiter_, nullptr));
  }

 private:
  void on_cancel() override { tell(); }

  Loop& loop_;
  std::coroutine_handle<> waiter_;
};

}  // namespace sluice::io
