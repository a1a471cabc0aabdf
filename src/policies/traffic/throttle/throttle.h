// `throttle`: how much the API behind it gets at most, from all callers together. The excess waits a while,
// then gets 503.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/document_types.h"
#include "gateway/policy_types.h"
#include "store/gate.h"

namespace sluice::policies {

/// Whose requests come before others' while they wait.
struct ThrottlePriority {
  uint32_t priority = 1;
  std::vector<std::string> plans;
  std::vector<std::string> consumers;
  std::vector<std::string> groups;
  std::vector<std::string> routes;
  static const config::Struct<ThrottlePriority>& schema();
};

struct ThrottleConfig {
  std::optional<config::Rate> rate;
  std::optional<uint32_t> concurrency;
  uint32_t queue = 0;
  Duration max_wait = std::chrono::seconds(1);
  Duration target{};
  std::vector<ThrottlePriority> priorities;
  static const config::Struct<ThrottleConfig>& schema();
};

/// One for each place where it stands: on a route it throttles the route, on an API the API.
class Throttle final : public gateway::Policy {
 public:
  Throttle(const ThrottleConfig& configured, const gateway::PolicyContext& context);
  Hooks hooks() const override { return {.request = true, .end = true}; }
  gateway::Step on_request(gateway::Exchange& exchange) const override;
  void on_end(const gateway::Exchange& exchange) const noexcept override;

  static const gateway::PolicyType& type();

 private:
  /// What an exchange holds.
  struct Held {
    bool inside = false;
  };

  uint32_t priority_of(const gateway::Exchange& exchange) const;
  std::optional<Duration> wait_for_rate(gateway::Exchange& exchange) const;
  io::Task<gateway::Step> wait(gateway::Exchange& exchange, Held& held, Duration rate_wait) const;
  gateway::Step refuse(gateway::Exchange& exchange) const;

  const ThrottleConfig configured_;
  const store::Gate::Rules rules_;
  const std::shared_ptr<store::Gate> gate_;
  store::RateTable& rates_;
  store::RateRule rule_;  // its tolerance with the time that requests may wait
  store::RateKey key_;
  const bool dry_run_;
  const telemetry::Counter limited_;
  const telemetry::Counter waited_;
};

}  // namespace sluice::policies
