// Waiting for a time, and deadlines over a stretch of work.
#pragma once

#include <coroutine>

#include "io/cancel.h"
#include "io/loop.h"
#include "io/timer.h"

namespace sluice::io {

/// `co_await sleep_until(loop, instant, token)`: kCancelled when the token was cancelled first.
class SleepAwait final : private Timer, private Cancellable {
 public:
  SleepAwait(Loop& loop, Instant until, CancelToken& token) : loop_(loop), until_(until), token_(token) {}
  bool await_ready() {
    cancelled_ = token_.cancelled();
    return cancelled_ || until_ <= loop_.now();
  }
  void await_suspend(std::coroutine_handle<> waiter) {
    waiter_ = waiter;
    loop_.timers().arm(*this, until_);
    bind(token_);
  }
  Result<> await_resume() {
    if (cancelled_) return fail(ErrorCode::kCancelled);
    return {};
  }

 private:
  void on_timer() override {
    unbind();
    loop_.ready(waiter_);
  }
  void on_cancel() override {
    disarm();
    cancelled_ = true;
    loop_.ready(waiter_);
  }
  Loop& loop_;
  Instant until_;
  CancelToken& token_;
  std::coroutine_handle<> waiter_;
  bool cancelled_ = false;
};

inline SleepAwait sleep_until(Loop& loop, Instant until, CancelToken& token) { return {loop, until, token}; }
inline SleepAwait sleep_for(Loop& loop, Duration duration, CancelToken& token) {
  return {loop, loop.now() + duration, token};
}

/// Cancels a token at a deadline, unless it is destroyed before.
class Deadline final : private Timer {
 public:
  Deadline(Loop& loop, Instant at, CancelToken& token, CancelReason reason = CancelReason::kDeadline)
      : token_(token), reason_(reason) {
    if (at != kNever) loop.timers().arm(*this, at);
  }
  ~Deadline() { disarm(); }

 private:
  void on_timer() override { token_.cancel(reason_); }
  CancelToken& token_;
  CancelReason reason_;
};

}  // namespace sluice::io
