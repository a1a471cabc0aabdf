// Time as the data plane knows it: instants of a loop's clock, never of the system's.
#pragma once

#include <chrono>
#include <cstdint>

namespace sluice {

using Duration = std::chrono::nanoseconds;

/// The steady clock of a loop: nanoseconds since an arbitrary start, never going back.
/// A tag only: it cannot be asked for the time, only a Loop can.
struct LoopClock {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<LoopClock>;
  static constexpr bool is_steady = true;
};
using Instant = LoopClock::time_point;

/// Wall-clock time, UTC, for logs and `Date`; may jump.
using WallTime = std::chrono::time_point<std::chrono::system_clock, Duration>;

inline constexpr Instant kNever = Instant::max();

constexpr int64_t nanoseconds(Duration d) { return d.count(); }
constexpr double seconds(Duration d) { return static_cast<double>(d.count()) / 1e9; }

}  // namespace sluice
