#include "policies/traffic/subscription/subscription.h"

#include <fmt/format.h>

#include "gateway/exchange.h"
#include "gateway/worker.h"

namespace sluice::policies {

namespace {

using gateway::Exchange;
using gateway::Refusal;
using gateway::Step;

constexpr Refusal kNotSubscribed{403, "not_subscribed", "There is no subscription to this API."};
/// Subscriptions and plans come one after the other when both change.
constexpr Refusal kPlanChanges{503, "plan_unavailable", "The plan of this subscription is being changed."};

}  // namespace

const config::Struct<SubscriptionConfig>& SubscriptionConfig::schema() {
  static const auto schema =
      config::Struct<SubscriptionConfig>(
          "subscription",
          "Demands a subscription to the API and enforces its plan; without one: 403, beyond the plan: 429.")
          .field("default_plan", &SubscriptionConfig::default_plan,
                 "The plan of those without a subscription; they are refused when it is left out.")
          .part(&SubscriptionConfig::sharing)
          .check([](const SubscriptionConfig& configured, const config::Node& node, config::Reader& reader) {
            config::check_sharing(configured.sharing, node, reader);
          });
  return schema;
}

Subscription::Subscription(const SubscriptionConfig& configured, const gateway::PolicyContext& context)
    : limited_(context.services.metrics.limited(context.id)) {
  for (const auto& [name, plan] : context.plans) {
    // Rates are kept by plan. Quotas are not: who goes over to another plan keeps what was used.
    std::string rates_of = " plan " + name;
    LimitScope scope{
        .id = context.id, .identity = context.identity, .rates_of = rates_of, .sharing = configured.sharing};
    auto made = std::make_unique<const Plan>(name, LimitSet(context, plan.limits, scope));
    if (configured.default_plan == name) default_ = made.get();
    std::string_view key = made->name;
    plans_.emplace(key, std::move(made));
  }
}

const Subscription::Plan* Subscription::plan_of(const Exchange& exchange, const Refusal*& why) const {
  if (exchange.identity)
    for (const auto& each : exchange.identity->subscriptions) {
      if (each.api != exchange.plan->api) continue;
      auto found = plans_.find(each.plan);
      if (found != plans_.end()) return found->second.get();
      why = &kPlanChanges;
      return nullptr;
    }
  if (!default_) why = &kNotSubscribed;
  return default_;
}

Step Subscription::on_request(Exchange& exchange) const {
  const Refusal* why = nullptr;
  const Plan* plan = plan_of(exchange, why);
  if (!plan) return exchange.refuse(*why);
  exchange.plan_name = plan->name;
  if (plan->limits.empty()) return Step::next();
  // Of nobody known the address, marked so that no consumer's name can stand for one.
  std::string_view who = exchange.identity ? exchange.identity->consumer
                                           : exchange.arena.concat("\n", exchange.client_address());
  std::string_view key = exchange.arena.concat(exchange.plan->api, "\n", who);
  LimitSet::Asked* asked = plan->limits.ask(exchange, key, 1);
  exchange.state<LimitSet::Asked>() = asked;
  return LimitSet::enforce(exchange, *asked, limited_);
}

void Subscription::on_response(Exchange& exchange) const {
  const auto* asked = exchange.state<LimitSet::Asked>();
  if (asked) LimitSet::tell(exchange, *asked, false);
}

const gateway::PolicyType& Subscription::type() {
  static const gateway::PolicyType type{
      .name = "subscription",
      .schema = &SubscriptionConfig::schema(),
      .build = [](const void* config, const gateway::PolicyContext& context)
          -> std::expected<std::shared_ptr<const gateway::Policy>, std::string> {
        const auto& configured = *static_cast<const SubscriptionConfig*>(config);
        bool known = !configured.default_plan || std::ranges::any_of(context.plans, [&](const auto& plan) {
          return plan.first == *configured.default_plan;
        });
        if (!known) return std::unexpected(fmt::format("there is no plan `{}`", *configured.default_plan));
        auto store = check_store(configured.sharing, context);
        if (!store) return std::unexpected(store.error());
        return std::make_shared<const Subscription>(configured, context);
      },
      .decides = true,
      .reads_shared = true,
      .needs_state =
          [](const void*, const gateway::PolicyContext& context) {
            return std::ranges::any_of(context.plans, [](const auto& plan) {
              return std::ranges::any_of(plan.second.limits,
                                         [](const config::Limit& limit) { return limit.quota.has_value(); });
            });
          },
      .needs_identity = [](const void* config) -> std::string_view {
        if (static_cast<const SubscriptionConfig*>(config)->default_plan) return {};
        return "no policy before it can know who is calling: it refuses everybody";
      },
  };
  return type;
}

}  // namespace sluice::policies
