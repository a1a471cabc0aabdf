#include "gateway/balance/traffic_shift.h"

#include <fmt/format.h>

#include <algorithm>

#include "telemetry/process_log.h"

namespace sluice::gateway {

namespace {

/// More than so many of a hundred that take longer than `latency` are too many: it is the 95th percentile.
constexpr uint32_t kSlowPercent = 5;
constexpr uint64_t kParts = 1'000'000;

int64_t nanoseconds(Instant at) { return at.time_since_epoch().count(); }

}  // namespace

double TrafficShift::share(Instant now) const {
  if (rolled_back()) return 0;
  int64_t began = began_.load(std::memory_order_relaxed);
  if (began == 0) return 0;
  auto over = static_cast<double>(Duration(rules_.over).count());
  return std::min(1.0, static_cast<double>(nanoseconds(now) - began) / over);
}

uint32_t TrafficShift::percent(Instant now) const { return static_cast<uint32_t>(share(now) * 100); }

int64_t TrafficShift::show(Instant now) {
  int64_t percents = percent(now);
  if (shown_.load(std::memory_order_relaxed) == percents) return 0;
  return percents - shown_.exchange(percents, std::memory_order_relaxed);
}

bool TrafficShift::takes_next(Random& random, Instant now) {
  int64_t before = 0;
  if (began_.load(std::memory_order_relaxed) == 0)
    began_.compare_exchange_strong(before, nanoseconds(now), std::memory_order_relaxed);
  double part = share(now);
  return part > 0 && static_cast<double>(random.below(kParts)) < part * kParts;
}

/// Who sees first that it has ended begins the next one. A request that is counted meanwhile may be lost.
void TrafficShift::renew_interval(Instant now) {
  int64_t end = interval_end_.load(std::memory_order_relaxed);
  if (nanoseconds(now) < end) return;
  int64_t next = nanoseconds(now + rules_.rollback->interval);
  if (!interval_end_.compare_exchange_strong(end, next, std::memory_order_relaxed)) return;
  requests_.store(0, std::memory_order_relaxed);
  failed_.store(0, std::memory_order_relaxed);
  slow_.store(0, std::memory_order_relaxed);
}

std::optional<std::string> TrafficShift::fault(uint32_t requests) const {
  const config::ShiftRollback& rules = *rules_.rollback;
  if (requests < rules.min_requests) return std::nullopt;
  uint32_t failed = failed_.load(std::memory_order_relaxed);
  uint32_t slow = slow_.load(std::memory_order_relaxed);
  if (rules.error_rate && failed > 0 && failed >= rules.error_rate->share * requests)
    return fmt::format("{} of {} requests failed", failed, requests);
  if (rules.latency && uint64_t{slow} * 100 > uint64_t{kSlowPercent} * requests)
    return fmt::format("{} of {} requests took longer than {} ms", slow, requests,
                       std::chrono::duration_cast<std::chrono::milliseconds>(*rules.latency).count());
  return std::nullopt;
}

bool TrafficShift::record(uint16_t status, Duration latency, Instant now) {
  if (!rules_.rollback || rolled_back()) return false;
  renew_interval(now);
  uint32_t requests = requests_.fetch_add(1, std::memory_order_relaxed) + 1;
  if (status >= 500) failed_.fetch_add(1, std::memory_order_relaxed);
  if (rules_.rollback->latency && latency > *rules_.rollback->latency)
    slow_.fetch_add(1, std::memory_order_relaxed);
  auto why = fault(requests);
  if (!why || rolled_back_.exchange(true, std::memory_order_relaxed)) return false;
  telemetry::log::warning("{}: the shift to upstream {} is rolled back: {}", name_, rules_.to, *why);
  return true;
}

std::shared_ptr<TrafficShift> TrafficShifts::find_or_make(const std::string& key, const std::string& name,
                                                          const config::Shift& rules) {
  std::weak_ptr<TrafficShift>& known = known_[key];
  if (auto shift = known.lock()) return shift;
  auto made = std::make_shared<TrafficShift>(name, rules);
  known = made;
  return made;
}

void TrafficShifts::forget_unused() {
  std::erase_if(known_, [](const auto& entry) { return entry.second.expired(); });
}

}  // namespace sluice::gateway
