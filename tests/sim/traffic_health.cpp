#include "traffic_health.h"

#include <fmt/format.h>

#include <algorithm>

#include "traffic_pool.h"

namespace sluice::sim {

namespace {

/// What is seen at one place is seen so much later at another.
constexpr Duration kBlink = std::chrono::milliseconds(100);

int64_t ms(Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

}  // namespace

TrafficHealth TrafficHealth::draw(Random& random) {
  auto chance = [&](uint64_t one_in) { return random.below(one_in) == 0; };
  TrafficHealth health;
  if (!chance(3)) {
    health.active = Active{.http = !chance(4),
                           .interval = std::chrono::milliseconds(50 + random.below(400)),
                           .timeout = std::chrono::milliseconds(150 + random.below(300)),
                           .healthy = 1 + static_cast<uint32_t>(random.below(3)),
                           .unhealthy = 1 + static_cast<uint32_t>(random.below(3))};
  }
  if (!chance(3)) {
    health.passive = Passive{.failures = chance(2) ? 1 : 1 + static_cast<uint32_t>(random.below(3)),
                             .eject_for = std::chrono::milliseconds(600 + random.below(600)),
                             .all = !chance(3),
                             .error_rate = chance(4)};
  }
  health.panic = chance(6);
  return health;
}

std::string TrafficHealth::text() const {
  if (!active && !passive) return {};
  std::string text = "    health:\n";
  if (active)
    text += fmt::format("      active: {{ {}, interval: {}ms, timeout: {}ms, healthy: {}, unhealthy: {} }}\n",
                        active->http ? "path: /healthz" : "type: tcp", ms(active->interval),
                        ms(active->timeout), active->healthy, active->unhealthy);
  if (passive) {
    text += fmt::format(
        "      passive: {{ consecutive_failures: {}, eject_for: {}ms, max_eject_for: 4s, max_ejected: {}",
        passive->failures, ms(passive->eject_for), passive->all ? "100%" : "50%");
    text += passive->error_rate ? ", error_rate: 50%, min_requests: 3, interval: 500ms }\n" : " }\n";
  }
  if (panic) text += "      panic: 50%\n";
  return text;
}

Trouble Trouble::draw(Random& random, size_t targets, Instant start) {
  Trouble trouble;
  trouble.kind = static_cast<Kind>(random.below(4));
  trouble.target = random.below(targets);
  trouble.from = start + std::chrono::milliseconds(random.below(2000));
  trouble.until = trouble.from + std::chrono::milliseconds(300 + random.below(6000));
  return trouble;
}

namespace {

class HealthChecker {
 public:
  HealthChecker(const HealthView& view, Violations& violations) : view_(view), violations_(violations) {}

  void check() {
    check_probes();
    if (!view_.calm || view_.health.panic || view_.waits) return;
    check_sick();
    if (view_.behaved) check_ejections();
  }

 private:
  Duration blink() const { return kBlink + view_.latency * 4; }

  /// From one prober: not too many, and, where nothing holds it up, not too few.
  void check_probes() {
    if (!view_.health.active || !view_.calm) return;
    const auto& active = *view_.health.active;
    for (size_t i = 0; i < view_.probes.size(); ++i) {
      const ProbesSeen& seen = view_.probes[i];
      if (seen.count < 2) continue;
      auto most = static_cast<size_t>((seen.last - seen.first + blink()) / (active.interval * 9 / 10)) + 1;
      if (active.http && seen.count > most)
        violations_.add(Invariant::kUndisturbed,
                        "target {} was probed {} times, where one prober does {} times", i, seen.count, most);
    }
    for (size_t i = 0; i < view_.probes.size(); ++i) {
      bool troubled =
          std::ranges::any_of(view_.troubles, [&](const Trouble& each) { return each.target == i; });
      const ProbesSeen& seen = view_.probes[i];
      Duration longest = active.known_after(1) + blink();
      if (troubled || !active.http) continue;
      if (seen.count == 0 || view_.end - seen.last > longest)
        violations_.add(Invariant::kNoEndlessWait, "target {} was not probed any more after {} probes", i,
                        seen.count);
    }
  }

  /// Nobody is sent to a target whose probes have failed for long enough.
  void check_sick() {
    if (!view_.health.active || !view_.health.active->http) return;
    Duration known = view_.health.active->known_after(view_.health.active->unhealthy) + blink();
    for (const Trouble& trouble : view_.troubles) {
      if (trouble.kind != Trouble::Kind::kSick && trouble.kind != Trouble::Kind::kMute) continue;
      for (const TrafficServing& serving : view_.ledger.servings)
        if (serving.call->api == TrafficPool::kApi && serving.target == trouble.target &&
            serving.begun > trouble.from + known && serving.begun < trouble.until)
          violations_.add(Invariant::kUndisturbed,
                          "exchange {} came to target {}, whose probes failed for {} ms",
                          serving.call->number, trouble.target, ms(serving.begun - trouble.from));
    }
  }

  /// After so many failures in a row a target is left alone for as long as is said.
  void check_ejections() {
    const auto& passive = view_.health.passive;
    if (!passive || !passive->all || passive->error_rate) return;
    for (size_t target = 0; target < view_.probes.size(); ++target) {
      bool down = std::ranges::any_of(view_.troubles, [&](const Trouble& each) {
        return each.target == target && each.kind == Trouble::Kind::kDown;
      });
      if (!down) check_ejections_of(target);
    }
  }

  void check_ejections_of(size_t target) {
    std::vector<const TrafficServing*> servings;
    for (const TrafficServing& serving : view_.ledger.servings)
      if (serving.call->api == TrafficPool::kApi && serving.target == target) servings.push_back(&serving);
    std::ranges::sort(servings, {}, [](const auto* each) { return std::pair(each->answered, each->number); });
    uint32_t in_row = 0;
    Instant back{};  // it is left alone until then
    for (const TrafficServing* serving : servings) {
      if (serving->answered < back) continue;  // it was on its way
      in_row = serving->status == 503 ? in_row + 1 : 0;
      if (in_row < view_.health.passive->failures) continue;
      in_row = 0;
      Instant out = serving->answered;
      back = out + view_.health.passive->eject_for;
      for (const TrafficServing* other : servings)
        if (other->begun > out + blink() && other->begun + blink() < back)
          violations_.add(
              Invariant::kUndisturbed,
              "exchange {} came to target {} {} ms after its last failure allowed, before {} ms were over",
              other->call->number, target, ms(other->begun - out), ms(view_.health.passive->eject_for));
    }
  }

  const HealthView& view_;
  Violations& violations_;
};

}  // namespace

void check_health(const HealthView& view, Violations& violations) { HealthChecker(view, violations).check(); }

}  // namespace sluice::sim
