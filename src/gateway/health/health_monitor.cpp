#include "gateway/health/health_monitor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "io/sleep.h"
#include "telemetry/process_log.h"

namespace sluice::gateway {

namespace {

namespace log = telemetry::log;

/// How often a share that grows is looked at again.
constexpr Duration kGrowthStep = std::chrono::milliseconds(500);
/// A probe comes so much sooner or later than its interval, so that many do not come at once.
constexpr int64_t kJitter = 10;  // a tenth

bool probed_alike(const Upstream& a, const Upstream& b) {
  return a.health.active == b.health.active && a.protocol == b.protocol &&
         a.proxy_protocol == b.proxy_protocol;
}

}  // namespace

HealthMonitor::HealthMonitor(io::Loop& loop, store::EpochDomain& epochs, telemetry::Families& families,
                             telemetry::WorkerMetrics& metrics)
    : loop_(loop),
      families_(families),
      metrics_(metrics),
      limit_hits_(families.limit_hits()),
      retired_(epochs) {}

HealthMonitor::~HealthMonitor() { disarm(); }

void HealthMonitor::stop() {
  token_.cancel(io::CancelReason::kDrain);
  disarm();
}

HealthMonitor::Watched* HealthMonitor::find(const TargetIdentity* target) {
  auto found = watched_.find(target);
  return found == watched_.end() ? nullptr : &found->second;
}

void HealthMonitor::follow(const Snapshot& snapshot) {
  if (token_.cancelled()) return;
  std::erase_if(upstreams_, [](const auto& upstream) { return upstream.expired(); });
  for (const auto& upstream : snapshot.upstreams) {
    bool known = std::ranges::any_of(upstreams_, [&](const auto& other) { return other.lock() == upstream; });
    if (!known) upstreams_.push_back(upstream);
  }
  current_ = snapshot.upstreams;
  watch_all();
  for (const auto& upstream : current_) renew(upstream->name);
  follow_probes();
  rearm();
}

void HealthMonitor::replace_targets(const Upstream& upstream, TargetList targets) {
  if (token_.cancelled()) return;
  replace_view(upstream, std::move(targets));
  if (std::ranges::none_of(current_, [&](const auto& each) { return each.get() == &upstream; })) return;
  watch_all();
  // For what `watch` has found out.
  renew(upstream.name);
  follow_probes();
  rearm();
}

void HealthMonitor::watch_all() {
  auto before = std::exchange(watched_, {});
  for (const auto& upstream : current_) {
    for (const TargetPointer& target : upstream->view().targets) {
      // One that is written twice is watched once.
      if (!target || watched_.contains(target->identity.get())) continue;
      auto old = before.extract(target->identity.get());
      if (!old.empty()) watched_.insert(std::move(old));
      watch(upstream, target);
    }
  }
  // Those that are gone get no requests.
  for (auto& [identity, watched] : before) metrics_.set(watched.healthy, 0);
}

void HealthMonitor::watch(const std::shared_ptr<const Upstream>& upstream, const TargetPointer& target) {
  Watched& watched = watched_[target->identity.get()];
  watched.upstream = upstream;
  watched.target = target;
  watched.healthy = families_.target_healthy(upstream->name, target->authority);
  watched.ejected = families_.ejections(upstream->name);
  TargetHealth& health = target->identity->health;
  if (!upstream->health.active) health.failing = false;
  const auto& passive = upstream->health.passive;
  if (!passive) {
    health.ejected = false;
    watched.next_rates = kNever;
  } else if (watched.next_rates == kNever) {
    watched.next_rates = loop_.now() + passive->interval;
  }
  show(watched);
}

/// One that is not in its upstream's subset is not asked: what was known of it before stays until it is.
bool HealthMonitor::is_probed(const Watched& watched) {
  return watched.upstream->health.active && watched.upstream->view().wanted[watched.target->number];
}

void HealthMonitor::follow_probes() {
  if (token_.cancelled()) return;
  for (const auto& prober : probers_) {
    Watched* watched = find(prober->target->identity.get());
    bool same = watched && is_probed(*watched) && probed_alike(*watched->upstream, *prober->upstream);
    if (!same) prober->token.cancel(io::CancelReason::kRevoked);
  }
  for (auto& [identity, watched] : watched_) {
    if (!is_probed(watched)) continue;
    bool probed = std::ranges::any_of(probers_, [&](const auto& prober) {
      return prober->target->identity.get() == identity && !prober->token.cancelled();
    });
    if (probed) continue;
    probers_.push_back(std::make_unique<Prober>(watched.upstream, watched.target, token_));
    scope_.spawn(probe_on(*probers_.back()));
  }
}

io::Task<> HealthMonitor::probe_on(Prober& prober) {
  const config::ActiveHealth& settings = *prober.upstream->health.active;
  SharedConnections::Environment environment{loop_, metrics_, limit_hits_, scope_};
  ConnectionPool pool(environment, prober.target->identity, *prober.upstream);
  pool.set_idle_time(Duration::zero());
  // The first ones of all targets do not come at once.
  int64_t jitter = settings.interval.count() / kJitter;
  Duration wait(static_cast<int64_t>(loop_.random().below(static_cast<uint64_t>(jitter) + 1)));
  while (!prober.token.cancelled()) {
    auto slept = co_await io::sleep_for(loop_, wait, prober.token);
    if (!slept) break;
    auto outcome = co_await probe(loop_, pool, *prober.target, settings, prober.token);
    if (prober.token.cancelled()) break;
    take(prober, outcome);
    auto spread = static_cast<int64_t>(loop_.random().below(2 * static_cast<uint64_t>(jitter) + 1));
    wait = settings.interval - Duration(jitter) + Duration(spread);
  }
  pool.close();
  while (pool.in_use()) co_await loop_.yield();
  std::erase_if(probers_, [&](const auto& each) { return each.get() == &prober; });
}

void HealthMonitor::take(Prober& prober, const ProbeOutcome& outcome) {
  const config::ActiveHealth& settings = *prober.upstream->health.active;
  TargetHealth& health = prober.target->identity->health;
  Watched* watched = find(prober.target->identity.get());
  bool failing = health.failing;
  if (!watched || outcome.has_value() == !failing) {
    prober.in_row = 0;
    return;
  }
  if (++prober.in_row < (failing ? settings.healthy : settings.unhealthy)) return;
  prober.in_row = 0;
  const std::string& upstream = prober.upstream->name;
  health.failing = !failing;
  if (failing) {
    log::info("upstream {}: target {} is healthy again", upstream, prober.target->authority);
    health.healthy_since = loop_.now();
    prober.target->identity->outcomes.forgive();
    watched->why.clear();
  } else {
    watched->why = outcome.error();
    log::warning("upstream {}: target {} is unhealthy: {}", upstream, prober.target->authority, watched->why);
  }
  show(*watched);
  renew(upstream);
  rearm();
}

void HealthMonitor::report_failing(const std::shared_ptr<TargetIdentity>& target) {
  Watched* watched = find(target.get());
  if (!watched || !watched->upstream->health.passive || target->health.ejected) return;
  eject(*watched,
        fmt::format("{} failures in a row", watched->upstream->health.passive->consecutive_failures));
  rearm();
}

bool HealthMonitor::may_eject(const Watched& watched) const {
  size_t all = 0;
  size_t ejected = 0;
  for (const TargetPointer& target : watched.upstream->view().targets) {
    if (!target || target->weight == 0) continue;
    ++all;
    ejected += target->identity->health.ejected;
  }
  double most = watched.upstream->health.passive->max_ejected.share * static_cast<double>(all);
  return static_cast<double>(ejected + 1) <= most;
}

void HealthMonitor::eject(Watched& watched, std::string why) {
  const config::PassiveHealth& rules = *watched.upstream->health.passive;
  TargetIdentity& target = *watched.target->identity;
  // Counted anew: it is reported again when it goes on.
  target.outcomes.forgive();
  if (!may_eject(watched)) {
    metrics_.add(limit_hits_["max_ejected"]);
    return;
  }
  ++watched.ejections;
  Duration time =
      std::min<Duration>(rules.eject_for * static_cast<int64_t>(watched.ejections), rules.max_eject_for);
  watched.ejected_until = loop_.now() + time;
  watched.why = std::move(why);
  target.health.ejected = true;
  metrics_.add(watched.ejected);
  log::warning("upstream {}: target {} is ejected for {} s: {}", watched.upstream->name,
               watched.target->authority, std::chrono::duration<double>(time).count(), watched.why);
  show(watched);
  renew(watched.upstream->name);
}

void HealthMonitor::return_to_use(Watched& watched) {
  TargetHealth& health = watched.target->identity->health;
  health.ejected = false;
  health.healthy_since = loop_.now();
  // What was on its way when it was ejected has failed since, and says nothing of how it is now.
  watched.target->identity->outcomes.take();
  watched.target->identity->outcomes.forgive();
  if (!health.failing) watched.why.clear();
  log::info("upstream {}: target {} is tried again", watched.upstream->name, watched.target->authority);
  show(watched);
  renew(watched.upstream->name);
}

/// Those whose rates over the last interval stand out (as Envoy's outlier detection has them).
void HealthMonitor::look_at_rates(const Upstream& upstream) {
  const config::PassiveHealth& rules = *upstream.health.passive;
  struct Rate {
    Watched* watched;
    double success;
  };
  std::vector<Rate> rates;
  for (const TargetPointer& target : upstream.view().targets) {
    Watched* watched = target ? find(target->identity.get()) : nullptr;
    if (!watched || watched->upstream.get() != &upstream) continue;
    watched->next_rates = loop_.now() + rules.interval;
    TargetOutcomes::Counts counts = target->identity->outcomes.take();
    bool ejected = target->identity->health.ejected;
    // An interval in which it did well takes one ejection off.
    if (!ejected && watched->ejections > 0 && counts.succeeded > 0 && counts.failed == 0)
      --watched->ejections;
    uint64_t requests = uint64_t{counts.succeeded} + counts.failed;
    if (ejected || requests < rules.min_requests) continue;
    rates.push_back({watched, static_cast<double>(counts.succeeded) / static_cast<double>(requests)});
  }
  double lowest = 0;
  if (rules.success_rate_deviation && rates.size() >= 3) {
    double mean = 0;
    double squares = 0;
    for (const Rate& rate : rates) mean += rate.success / static_cast<double>(rates.size());
    for (const Rate& rate : rates) squares += (rate.success - mean) * (rate.success - mean);
    lowest = mean - *rules.success_rate_deviation * std::sqrt(squares / static_cast<double>(rates.size()));
  }
  for (const Rate& rate : rates) {
    double failed = 1 - rate.success;
    if (rules.error_rate && failed >= rules.error_rate->share)
      eject(*rate.watched, fmt::format("{:.0f}% of its requests fail", failed * 100));
    else if (rate.success < lowest)
      eject(*rate.watched,
            fmt::format("{:.0f}% of its requests fail, many more than the others'", failed * 100));
  }
}

void HealthMonitor::on_timer() {
  Instant now = loop_.now();
  if (next_growth_ <= now) {
    next_growth_ = kNever;
    std::vector<std::string> names;
    for (const auto& known : upstreams_)
      if (auto upstream = known.lock(); upstream && upstream->view().growing) names.push_back(upstream->name);
    for (const std::string& name : names) renew(name);
  }
  for (auto& [identity, watched] : watched_)
    if (watched.next_rates <= now) look_at_rates(*watched.upstream);
  for (auto& [identity, watched] : watched_)
    if (identity->health.ejected && watched.ejected_until <= now) return_to_use(watched);
  rearm();
}

void HealthMonitor::rearm() {
  Instant next = next_growth_;
  for (const auto& [identity, watched] : watched_) {
    if (identity->health.ejected) next = std::min(next, watched.ejected_until);
    next = std::min(next, watched.next_rates);
  }
  disarm();
  if (next != kNever && !token_.cancelled()) loop_.timers().arm(*this, next);
}

void HealthMonitor::renew(const std::string& name) {
  bool narrowed = false;
  for (const auto& known : upstreams_) {
    auto upstream = known.lock();
    if (!upstream || upstream->name != name) continue;
    replace_view(*upstream, upstream->view().targets);
    narrowed = narrowed || upstream->narrows();
  }
  // Others of a subset take the places of those that have changed.
  if (narrowed) follow_probes();
}

void HealthMonitor::replace_view(const Upstream& upstream, TargetList targets) {
  auto view = upstream.make_view(std::move(targets), loop_.now());
  if (view->growing) next_growth_ = std::min(next_growth_, loop_.now() + kGrowthStep);
  if (view->panic && !upstream.view().panic)
    log::warning("upstream {}: too few targets are healthy; all are tried", upstream.name);
  retired_.retire([old = upstream.replace_view(std::move(view))]() mutable { old.reset(); });
}

void HealthMonitor::show(Watched& watched) {
  metrics_.set(watched.healthy, watched.target->identity->health.healthy() ? 1 : 0);
}

std::string HealthMonitor::describe() const {
  config::JsonWriter json;
  json.begin_array();
  for (const auto& upstream : current_) {
    json.begin_object();
    json.member("upstream", upstream->name);
    json.key("requests").integer(upstream->load().requests());
    if (const auto& adaptive = upstream->bounds.adaptive)
      json.key("concurrency_limit").integer(upstream->load().adaptive().limit(*adaptive));
    json.key("panic").boolean(upstream->view().panic);
    json.key("targets").begin_array();
    for (const TargetPointer& target : upstream->view().targets) {
      auto watched = target ? watched_.find(target->identity.get()) : watched_.end();
      if (watched != watched_.end() && watched->second.target == target) describe(watched->second, json);
    }
    json.end_array();
    json.end_object();
  }
  json.end_array();
  return json.take() + "\n";
}

void HealthMonitor::describe(const Watched& watched, config::JsonWriter& json) const {
  const Upstream& upstream = *watched.upstream;
  const TargetIdentity& identity = *watched.target->identity;
  const TargetHealth& health = identity.health;
  json.begin_object();
  json.member("target", watched.target->authority);
  json.member("state", health.failing ? "unhealthy" : health.ejected ? "ejected" : "healthy");
  if (!health.healthy()) json.member("reason", watched.why);
  if (health.ejected)
    json.key("seconds_left")
        .number(std::chrono::duration<double>(std::max<Duration>(watched.ejected_until - loop_.now(), {}))
                    .count());
  if (upstream.narrows()) json.key("in_use").boolean(upstream.view().uses(watched.target->number));
  if (upstream.balancer().counts_requests()) json.key("requests").unsigned_integer(identity.load.requests());
  if (upstream.balancer().measures())
    json.key("latency_seconds").number(identity.load.latency(loop_.now()) / 1e9);
  json.end_object();
}

}  // namespace sluice::gateway
