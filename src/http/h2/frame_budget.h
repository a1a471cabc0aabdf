// How often a client may still do something: a bucket that fills with time and with useful work.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/time.h"
#include "http/h2/limits.h"

namespace sluice::http::h2 {

class FrameBudget {
 public:
  FrameBudget(const Allowance& allowance, Instant now) : left_(allowance.burst), filled_(now) {}

  /// False: that was one too many.
  bool spend(const Allowance& allowance, Instant now) {
    if (left_ == 0) refill(allowance, now);
    if (left_ == 0) return false;
    --left_;
    return true;
  }
  void earn(const Allowance& allowance, uint32_t count) { left_ = std::min(left_ + count, allowance.burst); }

 private:
  /// Time is looked at when the bucket is empty alone.
  void refill(const Allowance& allowance, Instant now) {
    auto passed = std::chrono::duration_cast<std::chrono::milliseconds>(now - filled_).count();
    auto due = static_cast<uint64_t>(passed) * allowance.per_second / 1000;
    if (due == 0) return;
    left_ = static_cast<uint32_t>(std::min<uint64_t>(due, allowance.burst));
    filled_ = now;
  }

  uint32_t left_;
  Instant filled_;
};

}  // namespace sluice::http::h2
