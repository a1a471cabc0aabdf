#include "traffic_document.h"

#include <fmt/format.h>

#include <algorithm>

#include "document.h"

namespace sluice::sim {

namespace {

int64_t ms(Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

ThrottlePlace draw_throttle(Random& random, bool by_rate) {
  ThrottlePlace place;
  place.name = by_rate ? "paced" : "gated";
  place.queue = static_cast<uint32_t>(random.below(5));
  place.max_wait = std::chrono::milliseconds(200 + random.below(1300));
  if (by_rate || random.below(4) == 0) {
    place.rate = 1 + random.below(9);
    place.period = std::chrono::milliseconds(100 + random.below(1000));
  }
  if (by_rate) return place;
  place.upstream = "gated";
  place.concurrency = 1 + static_cast<uint32_t>(random.below(3));
  if (random.below(3) == 0) place.target = std::chrono::milliseconds(20 + random.below(150));
  return place;
}

}  // namespace

bool LimitPlace::has_quota() const {
  return std::ranges::any_of(limits, [](const auto& rule) { return rule.kind == LimitRule::Kind::kQuota; });
}

Duration ThrottlePlace::interval() const {
  auto count = static_cast<int64_t>(rate);
  return Duration((period.count() + count - 1) / count);
}

std::string ThrottlePlace::policy() const {
  std::string text = fmt::format("queue: {}, max_wait: {}ms", queue, ms(max_wait));
  if (rate) text += fmt::format(", rate: {}/{}ms", rate, ms(period));
  if (concurrency) text += fmt::format(", concurrency: {}, target: {}ms", concurrency, ms(target));
  if (concurrency) text += ", priorities: [ { priority: 2, routes: [vip] } ]";
  return text;
}

TrafficDocument TrafficDocument::draw(Random& random) {
  using Kind = LimitRule::Kind;
  TrafficDocument document;
  auto draw_cost = [&] { return 1 + random.below(2); };
  for (auto [name, kind] :
       {std::pair{"fixed", Kind::kFixedWindow}, {"sliding", Kind::kSlidingWindow}, {"quota", Kind::kQuota}})
    document.limits.push_back({name, {LimitRule::draw(random, kind)}, draw_cost()});
  LimitPlace several{"several", {}, draw_cost()};
  size_t count = 2 + random.below(2);
  for (size_t i = 0; i < count; ++i)
    several.limits.push_back(LimitRule::draw(random, static_cast<Kind>(random.below(3))));
  document.limits.push_back(several);
  LimitPlace both{"both", several.limits, draw_cost()};
  if (random.below(2) == 0) both.limits.back().period *= 3;  // so that the last one is the tightest
  both.limits.insert(both.limits.begin() + static_cast<ptrdiff_t>(random.below(count + 1)),
                     LimitRule::draw(random, Kind::kQuota));
  // So large that the rates beside it refuse first, most of the time; or made durable in larger parts.
  for (LimitRule& rule : both.limits)
    if (rule.kind == Kind::kQuota) rule.count += random.below(2) ? random.below(30) : 300 + random.below(600);
  document.limits.push_back(both);
  document.throttles = {draw_throttle(random, false), draw_throttle(random, true)};
  document.pool = TrafficPool::draw(random);
  return document;
}

std::string TrafficDocument::limit_apis() const {
  std::string text;
  for (const LimitPlace& place : limits) {
    std::string rules;
    if (place.limits.size() == 1) {
      rules = place.limits.front().text();
    } else {
      for (const LimitRule& rule : place.limits)
        rules += fmt::format("{}{{ {} }}", rules.empty() ? "" : ", ", rule.text());
      rules = "limits: [ " + rules + " ]";
    }
    text += fmt::format(
        "  {0}:\n    path: /{0}\n    policies:\n      - sim_probe: {{ id: before, limit: {0} }}\n"
        "      - rate_limit: {{ id: {0}, key: \"header:x-caller\", cost: {1}, {2} }}\n",
        place.name, place.cost, rules);
    if (place.has_quota())
      text += fmt::format("      - sim_probe: {{ id: after, limit: {}-passed }}\n", place.name);
    text += "    routes: [ { name: all, respond: { status: 200, body: counted } } ]\n";
  }
  return text;
}

std::string TrafficDocument::throttle_apis() const {
  std::string text;
  for (const ThrottlePlace& place : throttles) {
    bool answers = place.upstream.empty();
    text += fmt::format("  {0}:\n    path: /{0}\n", place.name);
    if (!answers) text += fmt::format("    upstream: {}\n", place.upstream);
    text += fmt::format(
        "    policies:\n      - sim_probe: {{ id: before, limit: {0}, ends: true }}\n"
        "      - throttle: {{ id: {0}, {1} }}\n      - sim_probe: {{ id: after, limit: {0}-passed, ends: "
        "true }}\n",
        place.name, place.policy());
    text += answers ? "    routes: [ { name: all, respond: { status: 200, body: counted } } ]\n"
                    : "    routes: [ { name: vip, path: /vip }, { name: rest } ]\n";
  }
  return text;
}

std::string TrafficDocument::text(uint64_t revision) const {
  std::string text = fmt::format(
      "version: 1\ngateway:\n  listen: [ {{ name: plain, address: \"{}:{}\" }} ]\n"
      "  timeouts: {{ header: 5s, body_progress: 5s, keep_alive: 20s, stream_idle: 30s }}\n"
      "  drain: {{ timeout: 60s }}\n"
      "policies:\n  - headers: {{ id: mark, response: {{ set: {{ x-config: \"{}\" }} }} }}\n",
      kGatewayIp, kPort, revision);
  text += fmt::format(
      "upstreams:\n  gated:\n    targets: [ \"http://{}:{}\" ]\n"
      "    timeouts: {{ connect: 1s, response_head: 2s, idle: {}ms }}\n"
      "    retry: {{ attempts: 2, on: [connect_failure, reset], budget: 100%, backoff: 0ms }}\n",
      kGatedIp, kGatedPort, ms(kIdle));
  text += pool.text(ms(kIdle));
  text += fmt::format("apis:\n  {0}: {{ path: /{0}, upstream: {0} }}\n", TrafficPool::kApi);
  text += limit_apis() + throttle_apis();
  return text;
}

}  // namespace sluice::sim
