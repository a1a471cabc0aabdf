// What those who follow names in DNS have in common: when to ask again, and who waits for first answers.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "base/time.h"
#include "io/linked_token.h"
#include "io/loop.h"
#include "io/sleep.h"

namespace sluice::gateway {

/// How long one question waits to be asked again.
class AskAgain {
 public:
  static constexpr Duration kShortestTtl = std::chrono::seconds(1);
  static constexpr Duration kLongestTtl = std::chrono::minutes(5);
  static constexpr Duration kFirstRetry = std::chrono::seconds(1);  // doubles each time, up to kLastRetry
  static constexpr Duration kLastRetry = std::chrono::seconds(30);

  /// The last answer was a failure: it has been told of.
  bool failing() const { return retry_ != kFirstRetry; }
  Duration after_answer(Duration ttl) {
    retry_ = kFirstRetry;
    return std::clamp(ttl, kShortestTtl, kLongestTtl);
  }
  Duration after_failure() { return std::exchange(retry_, std::min(retry_ * 2, kLastRetry)); }

 private:
  Duration retry_ = kFirstRetry;
};

/// Of several questions: when each has its first answer, good or bad.
class FirstAnswers {
 public:
  void expect() { ++missing_; }
  /// `answered`, of the question, is true from now on.
  void arrived(bool& answered) {
    if (std::exchange(answered, true)) return;
    if (--missing_ > 0) return;
    for (io::CancelToken* token : waiting_) token->cancel(io::CancelReason::kDrain);
  }
  size_t missing() const { return missing_; }
  /// Until none is missing, `limit` has passed or `token` is cancelled.
  io::Task<> wait(io::Loop& loop, Duration limit, io::CancelToken& token) {
    if (missing_ == 0) co_return;
    io::LinkedToken waiting(token);
    waiting_.push_back(&waiting);
    auto slept = co_await io::sleep_for(loop, limit, waiting);
    std::ignore = slept;
    std::erase(waiting_, &waiting);
  }

 private:
  size_t missing_ = 0;
  std::vector<io::CancelToken*> waiting_;  // cancelled when none is missing
};

}  // namespace sluice::gateway
