// `subscription`: lets those in who have a subscription to the API, and holds them to its plan.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "config/types.h"
#include "gateway/policy_types.h"
#include "policies/traffic/limit_set.h"

namespace sluice::policies {

struct SubscriptionConfig {
  std::optional<std::string> default_plan;
  config::Sharing sharing;
  static const config::Struct<SubscriptionConfig>& schema();
};

/// Each subscription has counters of its own: of a consumer, or of an address of nobody known, at an API.
class Subscription final : public gateway::Policy {
 public:
  Subscription(const SubscriptionConfig& configured, const gateway::PolicyContext& context);
  Hooks hooks() const override { return {.request = true, .response = true}; }
  gateway::Step on_request(gateway::Exchange& exchange) const override;
  void on_response(gateway::Exchange& exchange) const override;

  static const gateway::PolicyType& type();

 private:
  struct Plan {
    std::string name;
    LimitSet limits;
  };

  /// Null: the exchange is refused with `why`.
  const Plan* plan_of(const gateway::Exchange& exchange, const gateway::Refusal*& why) const;

  std::unordered_map<std::string_view, std::unique_ptr<const Plan>> plans_;  // by their names
  const Plan* default_ = nullptr;
  telemetry::Counter limited_;
};

}  // namespace sluice::policies
