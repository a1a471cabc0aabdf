#include "policies/traffic/throttle/throttle.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/hash.h"
#include "gateway/exchange.h"
#include "gateway/worker.h"
#include "io/sleep.h"

namespace sluice::policies {

namespace {

using gateway::Exchange;
using gateway::Refusal;
using gateway::Step;

constexpr Refusal kThrottled{503, "throttled", "The service is busy; try again later."};

bool has(const std::vector<std::string>& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

store::RateRule rule_of(const ThrottleConfig& configured) {
  if (!configured.rate) return {};
  store::RateRule rule = store::RateRule::of(configured.rate->count, configured.rate->period, 1);
  Duration longest = std::min<Duration>(configured.max_wait, rule.interval * int64_t{configured.queue});
  rule.tolerance += longest;
  return rule;
}

}  // namespace

const config::Struct<ThrottlePriority>& ThrottlePriority::schema() {
  static const auto schema =
      config::Struct<ThrottlePriority>("throttle_priority", "Whose requests go before others that wait.")
          .field("priority", &ThrottlePriority::priority, "The higher one first; 0 for all others.")
          .range(1, 1000)
          .field("plans", &ThrottlePriority::plans, "Under these plans; see `subscription`.")
          .field("consumers", &ThrottlePriority::consumers, "Of these consumers.")
          .field("groups", &ThrottlePriority::groups, "Of consumers of these groups.")
          .field("routes", &ThrottlePriority::routes, "Of routes with these names.");
  return schema;
}

const config::Struct<ThrottleConfig>& ThrottleConfig::schema() {
  static const auto schema =
      config::Struct<ThrottleConfig>(
          "throttle",
          "Limits what all callers together send to what it stands on; the excess waits, then gets 503.")
          .field("rate", &ThrottleConfig::rate, "How many requests in which time, evenly spread.")
          .field("concurrency", &ThrottleConfig::concurrency, "How many at once.")
          .range(1, 1e6)
          .unit("requests")
          .field("queue", &ThrottleConfig::queue, "How many may wait; 0: the excess is refused at once.")
          .range(0, 1e6)
          .unit("requests")
          .field("max_wait", &ThrottleConfig::max_wait, "How long a request waits at most.")
          .range(std::chrono::milliseconds(1), std::chrono::minutes(5))
          .field(
              "target", &ThrottleConfig::target,
              "When `concurrency` has had a queue for `max_wait` without a break, nobody waits longer than "
              "this until it is empty; 0s: that does not matter.")
          .range(std::chrono::milliseconds(0), std::chrono::minutes(5))
          .field("priorities", &ThrottleConfig::priorities, "Who goes first of those that wait; first match.")
          .check([](const ThrottleConfig& throttle, const config::Node& node, config::Reader& reader) {
            if (!throttle.rate && !throttle.concurrency)
              reader.error(node, "missing-key", "it needs a `rate` or a `concurrency`");
            if (!throttle.concurrency && !throttle.priorities.empty())
              reader.error(*node.find("priorities"), "conflict",
                           "priorities are for those who wait by `concurrency`");
          });
  return schema;
}

Throttle::Throttle(const ThrottleConfig& configured, const gateway::PolicyContext& context)
    : configured_(configured),
      rules_{.most_inside = configured.concurrency.value_or(0),
             .most_waiting = configured.queue,
             .most_wait = configured.max_wait,
             .target = configured.target},
      gate_(configured.concurrency ? context.services.gates.get(std::string(context.identity)) : nullptr),
      rates_(context.services.rates),
      rule_(rule_of(configured)),
      // What is kept means something at one rate only.
      key_(rates_.key(
          hash64(fmt::format("{} {} {}", context.identity, rule_.interval.count(), rule_.tolerance.count())),
          {})),
      dry_run_(context.dry_run),
      limited_(context.services.metrics.limited(context.id)),
      waited_(context.services.metrics.waited(context.id)) {}

uint32_t Throttle::priority_of(const Exchange& exchange) const {
  for (const ThrottlePriority& each : configured_.priorities) {
    const store::Identity* identity = exchange.identity;
    auto is_in = [&](const std::string& group) { return identity->is_in(group); };
    bool who =
        identity && (has(each.consumers, identity->consumer) || std::ranges::any_of(each.groups, is_in));
    if (who || has(each.plans, exchange.plan_name) || has(each.routes, exchange.plan->route))
      return each.priority;
  }
  return 0;
}

/// Reserves the request's moment; nothing: it would be too far away.
std::optional<Duration> Throttle::wait_for_rate(Exchange& exchange) const {
  if (!configured_.rate) return Duration::zero();
  store::RateDecision decision = rates_.take(key_, rule_, exchange.now());
  if (!decision.allowed) return std::nullopt;
  return std::max<Duration>(decision.reset_after - rule_.interval, Duration::zero());
}

Step Throttle::on_request(Exchange& exchange) const {
  std::optional<Duration> rate_wait = wait_for_rate(exchange);
  if (!rate_wait) return refuse(exchange);
  auto* held = exchange.arena.make<Held>();
  exchange.state<Held>() = held;
  if (*rate_wait == Duration::zero()) {
    held->inside = gate_ && gate_->try_enter(rules_.most_inside);
    if (!gate_ || held->inside) return Step::next();
    if (rules_.most_waiting == 0) return refuse(exchange);
  }
  // In a dry run nobody waits: what would have is counted like what would have been refused.
  if (dry_run_) return refuse(exchange);
  exchange.worker.metrics().add(waited_);
  return Step::wait(wait(exchange, *held, *rate_wait));
}

io::Task<Step> Throttle::wait(Exchange& exchange, Held& held, Duration rate_wait) const {
  io::CancelToken& token = exchange.server.token;
  auto slept = co_await io::sleep_for(exchange.loop(), rate_wait, token);
  if (!slept || !gate_) co_return Step::next();
  auto entry = co_await gate_->enter(exchange.loop(), rules_, priority_of(exchange), token);
  held.inside = entry == store::Gate::Entry::kInside;
  if (held.inside || token.cancelled()) co_return Step::next();
  co_return refuse(exchange);
}

Step Throttle::refuse(Exchange& exchange) const {
  exchange.worker.metrics().add(limited_);
  return exchange.refuse(kThrottled);
}

void Throttle::on_end(const Exchange& exchange) const noexcept {
  const Held* held = exchange.state<Held>();
  if (held && held->inside) gate_->leave();
}

const gateway::PolicyType& Throttle::type() {
  static const gateway::PolicyType type{
      .name = "throttle",
      .schema = &ThrottleConfig::schema(),
      .build = [](const void* config, const gateway::PolicyContext& context)
          -> std::expected<std::shared_ptr<const gateway::Policy>, std::string> {
        return std::make_shared<const Throttle>(*static_cast<const ThrottleConfig*>(config), context);
      },
      .decides = true,
  };
  return type;
}

}  // namespace sluice::policies
