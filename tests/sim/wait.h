// Waiting for something that another coroutine of the same loop brings about.
#pragma once

#include "io/linked_token.h"
#include "io/sleep.h"

namespace sluice::sim {

/// One waiter at a time. What was notified before the wait is not remembered: look at the condition first.
class Signal {
 public:
  void notify() {
    if (waiting_) waiting_->cancel(io::CancelReason::kShed);
  }
  /// Until `notify`, or `token` is cancelled, or `limit` has passed.
  io::Task<> wait(io::Loop& loop, io::CancelToken& token, Duration limit = std::chrono::hours(1)) {
    io::LinkedToken waiting(token);
    waiting_ = &waiting;
    auto slept = co_await io::sleep_for(loop, limit, waiting);
    std::ignore = slept;
    waiting_ = nullptr;
  }

 private:
  io::CancelToken* waiting_ = nullptr;
};

inline io::Task<> pause(io::Loop& loop, Duration duration, io::CancelToken& token) {
  auto slept = co_await io::sleep_for(loop, duration, token);
  std::ignore = slept;
}

}  // namespace sluice::sim
