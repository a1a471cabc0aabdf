// Traffic that moves from one upstream to another by and by, and back at once when the new one fails.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/random.h"
#include "base/time.h"
#include "config/balancing.h"
#include "telemetry/metrics.h"

namespace sluice::gateway {

/// How far it is, for all workers and for all configurations that ask for the same. Thread-safe, without
/// waiting.
class TrafficShift {
 public:
  /// `name`: of the route, for the log.
  TrafficShift(std::string name, const config::Shift& rules) : name_(std::move(name)), rules_(rules) {}

  /// Whether the next request is for the new upstream. The first one ever asked about begins the shift.
  bool takes_next(Random& random, Instant now);
  /// How a request to the new upstream has ended: a status, and when its answer came. True: that was too
  /// much, and from now on all go back.
  bool record(uint16_t status, Duration latency, Instant now);

  /// Of the requests, for the new upstream, in percent.
  uint32_t percent(Instant now) const;
  bool rolled_back() const { return rolled_back_.load(std::memory_order_relaxed); }
  /// By how much a gauge that many count into must change, so that it says `percent`.
  int64_t show(Instant now);

 private:
  double share(Instant now) const;
  void renew_interval(Instant now);
  std::optional<std::string> fault(uint32_t requests) const;

  const std::string name_;
  const config::Shift rules_;
  std::atomic<int64_t> began_{0};  // nanoseconds of the loops' clock; 0: not yet
  std::atomic<bool> rolled_back_{false};
  std::atomic<int64_t> shown_{0};
  // Of the interval that runs.
  std::atomic<int64_t> interval_end_{0};
  std::atomic<uint32_t> requests_{0};
  std::atomic<uint32_t> failed_{0};
  std::atomic<uint32_t> slow_{0};
};

/// Keeps how far shifts are over reloads that do not change them. For the compiler's thread.
class TrafficShifts {
 public:
  /// `key` is the same for the same shift of the same route.
  std::shared_ptr<TrafficShift> find_or_make(const std::string& key, const std::string& name,
                                             const config::Shift& rules);
  void forget_unused();

 private:
  std::map<std::string, std::weak_ptr<TrafficShift>> known_;
};

}  // namespace sluice::gateway
