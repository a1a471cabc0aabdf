#include "gateway/balance/adaptive_limit.h"

#include <algorithm>
#include <cmath>

namespace sluice::gateway {

namespace {

// The constants of Netflix's Gradient2Limit and WindowedLimit.
constexpr uint32_t kFewestAnswers = 10;  // that make a window
constexpr double kSmoothing = 0.2;
constexpr double kAverageOver = 600;  // windows
constexpr uint32_t kWarmUp = 10;      // windows whose plain mean it is at first
constexpr double kDrift = 0.95;
/// Of the limit stays when the upstream says that it is overloaded (AIMDLimit's).
constexpr double kBackOff = 0.9;

}  // namespace

uint32_t AdaptiveLimit::limit(const Rules& rules) const {
  double limit = limit_.load(std::memory_order_relaxed);
  if (limit == 0) return rules.initial;
  return static_cast<uint32_t>(std::clamp<double>(limit, rules.min, rules.max));
}

AdaptiveLimit::Moved AdaptiveLimit::answered(Duration latency, uint32_t in_hand, Instant now,
                                             const Rules& rules) {
  nanoseconds_.fetch_add(latency.count(), std::memory_order_relaxed);
  answers_.fetch_add(1, std::memory_order_relaxed);
  uint32_t most = most_in_hand_.load(std::memory_order_relaxed);
  while (in_hand > most && !most_in_hand_.compare_exchange_weak(most, in_hand, std::memory_order_relaxed)) {
  }
  if (!ends_window(now, rules)) return std::nullopt;
  return end_window(rules);
}

AdaptiveLimit::Moved AdaptiveLimit::overloaded(Instant now, const Rules& rules) {
  overloaded_.store(true, std::memory_order_relaxed);
  if (!ends_window(now, rules)) return std::nullopt;
  return end_window(rules);
}

/// True: for one caller alone.
bool AdaptiveLimit::ends_window(Instant now, const Rules& rules) {
  int64_t at = now.time_since_epoch().count();
  int64_t end = window_end_.load(std::memory_order_relaxed);
  if (at < end) return false;
  bool enough = answers_.load(std::memory_order_relaxed) >= kFewestAnswers ||
                overloaded_.load(std::memory_order_relaxed);
  if (end != 0 && !enough) return false;
  bool ours = window_end_.compare_exchange_strong(end, at + Duration(rules.window).count());
  return ours && end != 0;
}

AdaptiveLimit::Moved AdaptiveLimit::end_window(const Rules& rules) {
  int64_t nanoseconds = nanoseconds_.exchange(0, std::memory_order_relaxed);
  uint32_t answers = answers_.exchange(0, std::memory_order_relaxed);
  uint32_t most = most_in_hand_.exchange(0, std::memory_order_relaxed);
  bool overloaded = overloaded_.exchange(false, std::memory_order_relaxed);
  double before = limit(rules);
  if (double exact = limit_.load(std::memory_order_relaxed); exact >= rules.min && exact <= rules.max)
    before = exact;
  if (overloaded) return move_to(before * kBackOff, rules);
  if (answers == 0) return std::nullopt;
  double latency = std::max(1.0, static_cast<double>(nanoseconds) / answers);
  double average = longest_average(latency);
  // Who is not asked for all that it may have says nothing of more.
  if (most < before / 2) return move_to(before, rules);
  double gradient = std::clamp(rules.tolerance * average / latency, 0.5, 1.0);
  double next = before * gradient + rules.queue;
  return move_to(before * (1 - kSmoothing) + next * kSmoothing, rules);
}

/// What answers take in the long run, `latency` among them.
double AdaptiveLimit::longest_average(double latency) {
  uint32_t windows = windows_.load(std::memory_order_relaxed);
  double average = average_.load(std::memory_order_relaxed);
  double part = windows < kWarmUp ? 1.0 / (windows + 1) : 2 / (kAverageOver + 1);
  average += (latency - average) * part;
  if (windows < kWarmUp) windows_.store(windows + 1, std::memory_order_relaxed);
  // After a long time of overload: back to what is usual at once.
  double kept = average / latency > 2 ? average * kDrift : average;
  average_.store(kept, std::memory_order_relaxed);
  return average;
}

AdaptiveLimit::Moved AdaptiveLimit::move_to(double limit, const Rules& rules) {
  limit = std::clamp<double>(limit, rules.min, rules.max);
  limit_.store(limit, std::memory_order_relaxed);
  auto shown = static_cast<int64_t>(limit);
  return shown - shown_.exchange(shown, std::memory_order_relaxed);
}

}  // namespace sluice::gateway
