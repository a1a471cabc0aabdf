// How many requests an upstream gets at once, found out from how fast it answers: Gradient2 of Netflix's
// concurrency-limits, over all workers. Atomics that nobody waits for; a lost update costs one measurement.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "base/time.h"
#include "config/balancing.h"

namespace sluice::gateway {

/// Answers are taken together over a window; at its end the limit moves. It grows by a few requests a window
/// while answers take what they always took, and shrinks by how much longer they take.
class AdaptiveLimit {
 public:
  using Rules = config::AdaptiveConcurrency;

  uint32_t limit(const Rules& rules) const;

  /// How far the limit has moved, for a gauge that many count into.
  using Moved = std::optional<int64_t>;

  /// A try has brought an answer after `latency`, while `in_hand` requests were there.
  Moved answered(Duration latency, uint32_t in_hand, Instant now, const Rules& rules);
  /// The upstream has said, or shown by its silence, that it is overloaded.
  Moved overloaded(Instant now, const Rules& rules);

 private:
  bool ends_window(Instant now, const Rules& rules);
  Moved end_window(const Rules& rules);
  Moved move_to(double limit, const Rules& rules);
  double longest_average(double latency);

  // The window that runs.
  std::atomic<int64_t> window_end_{0};  // nanoseconds of the loops' clock
  std::atomic<int64_t> nanoseconds_{0};
  std::atomic<uint32_t> answers_{0};
  std::atomic<uint32_t> most_in_hand_{0};
  std::atomic<bool> overloaded_{false};
  // Changed at its end, by one thread at a time.
  std::atomic<double> limit_{0};    // 0: not known yet
  std::atomic<double> average_{0};  // of the windows' latencies, nanoseconds
  std::atomic<uint32_t> windows_{0};
  std::atomic<int64_t> shown_{0};
};

}  // namespace sluice::gateway
