// The configuration of a world of traffic features: what its limits, throttles and upstreams say is drawn.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "limit_model.h"
#include "traffic_pool.h"

namespace sluice::sim {

/// An API with a `rate_limit`.
struct LimitPlace {
  std::string name;
  std::vector<LimitRule> limits;
  uint64_t cost = 1;

  bool has_quota() const;
};

/// An API with a `throttle`.
struct ThrottlePlace {
  std::string name;
  std::string upstream;  // empty: the gateway answers
  uint32_t concurrency = 0;
  uint32_t queue = 0;
  Duration max_wait{};
  Duration target{};
  uint64_t rate = 0;  // in `period`; 0: none
  Duration period{};

  /// Between two that pass by its rate.
  Duration interval() const;
  std::string policy() const;
};

struct TrafficDocument {
  static TrafficDocument draw(Random& random);
  std::string text(uint64_t revision) const;

  std::vector<LimitPlace> limits;
  std::vector<ThrottlePlace> throttles;
  TrafficPool pool;

  static constexpr std::string_view kGatedIp = "10.8.0.1";
  static constexpr uint16_t kGatedPort = 9600;
  /// Idle connections to upstreams are kept for so long.
  static constexpr Duration kIdle = std::chrono::seconds(3);

 private:
  std::string limit_apis() const;
  std::string throttle_apis() const;
};

}  // namespace sluice::sim
