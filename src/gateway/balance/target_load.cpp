#include "gateway/balance/target_load.h"

#include <cmath>

namespace sluice::gateway {

namespace {

double remaining(int64_t since, Instant now) {
  double passed = static_cast<double>(now.time_since_epoch().count() - since);
  return passed <= 0 ? 1 : std::exp(-passed / static_cast<double>(Duration(kLatencyDecay).count()));
}

}  // namespace

void TargetLoad::measure(Duration latency, Instant now) {
  double measured = static_cast<double>(latency.count());
  double before = latency_.load(std::memory_order_relaxed);
  double next = measured;
  if (measured < before) {
    double kept = remaining(measured_at_.load(std::memory_order_relaxed), now);
    next = before * kept + measured * (1 - kept);
  }
  latency_.store(next, std::memory_order_relaxed);
  measured_at_.store(now.time_since_epoch().count(), std::memory_order_relaxed);
}

double TargetLoad::latency(Instant now) const {
  double average = latency_.load(std::memory_order_relaxed);
  return average == 0 ? 0 : average * remaining(measured_at_.load(std::memory_order_relaxed), now);
}

}  // namespace sluice::gateway
