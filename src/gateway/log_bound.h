// Bounds how many lines of one kind go to the process's log: a flood of bad handshakes must not fill a disk.
#pragma once

#include <cstdint>

#include "base/time.h"

namespace sluice::gateway {

/// Not thread-safe.
class LogBound {
 public:
  static constexpr uint32_t kLines = 5;
  static constexpr Duration kInterval = std::chrono::seconds(10);

  /// Whether a line may be written now. `suppressed`: how many were not since the last one.
  bool allows(Instant now, uint64_t& suppressed) {
    if (now >= until_) {
      until_ = now + kInterval;
      lines_ = 0;
    }
    if (lines_ == kLines) {
      ++suppressed_;
      return false;
    }
    ++lines_;
    suppressed = suppressed_;
    suppressed_ = 0;
    return true;
  }

 private:
  Instant until_{};
  uint32_t lines_ = 0;
  uint64_t suppressed_ = 0;
};

}  // namespace sluice::gateway
