// What all workers together know of a target: how much it carries, how fast it answers, how its answers have
// been. Process-wide atomics that nobody waits for; a lost update costs a slightly older view.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/time.h"

namespace sluice::gateway {

/// Its averages decay with this time: after it an old measurement counts for a third.
inline constexpr Duration kLatencyDecay = std::chrono::seconds(10);

class alignas(64) TargetLoad {
 public:
  uint32_t requests() const { return requests_.load(std::memory_order_relaxed); }
  void enter() { requests_.fetch_add(1, std::memory_order_relaxed); }
  void leave() { requests_.fetch_sub(1, std::memory_order_relaxed); }

  /// A response's head came after `latency`. A slower one counts at once, faster ones by and by: peak EWMA
  /// (Finagle).
  void measure(Duration latency, Instant now);
  /// The average as of `now`, in nanoseconds; 0: nothing was measured.
  double latency(Instant now) const;

 private:
  std::atomic<uint32_t> requests_{0};
  std::atomic<double> latency_{0};
  std::atomic<int64_t> measured_at_{0};  // nanoseconds of the loop's clock
};

/// How the tries at a target have ended, for whoever ejects it.
class alignas(64) TargetOutcomes {
 public:
  /// The number of failures in a row.
  uint32_t fail() {
    failed_.fetch_add(1, std::memory_order_relaxed);
    return in_row_.fetch_add(1, std::memory_order_relaxed) + 1;
  }
  void succeed() {
    succeeded_.fetch_add(1, std::memory_order_relaxed);
    if (in_row_.load(std::memory_order_relaxed) != 0) in_row_.store(0, std::memory_order_relaxed);
  }
  void forgive() { in_row_.store(0, std::memory_order_relaxed); }

  struct Counts {
    uint32_t succeeded = 0;
    uint32_t failed = 0;
  };
  /// Since the last call.
  Counts take() {
    return {succeeded_.exchange(0, std::memory_order_relaxed),
            failed_.exchange(0, std::memory_order_relaxed)};
  }

 private:
  std::atomic<uint32_t> in_row_{0};
  std::atomic<uint32_t> succeeded_{0};
  std::atomic<uint32_t> failed_{0};
};

}  // namespace sluice::gateway
