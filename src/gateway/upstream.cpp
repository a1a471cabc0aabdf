#include "gateway/upstream.h"

#include <algorithm>

#include "base/hash.h"
#include "io/proxy_protocol.h"

namespace sluice::gateway {

TargetIdentity::TargetIdentity(std::shared_ptr<SlotAllocator> slots, std::string target_host,
                               uint16_t target_port, TargetTls target_tls)
    : slot(slots->take()),
      host(std::move(target_host)),
      port(target_port),
      tls(std::move(target_tls)),
      slots_(std::move(slots)) {
  if (auto literal = io::Address::parse_ip(host, port)) {
    is_name_ = false;
    addresses_.store(new Addresses{*literal}, std::memory_order_release);
  }
}

TargetIdentity::~TargetIdentity() {
  delete addresses_.load(std::memory_order_acquire);
  slots_->give_back(slot);
}

Upstream::Upstream(std::string upstream_name, const config::Upstream& configured, UpstreamParts parts,
                   const telemetry::UpstreamMetrics& upstream_metrics)
    : name(std::move(upstream_name)),
      services(std::move(parts.services)),
      host(configured.host),
      protocol(configured.protocol),
      proxy_protocol(configured.proxy_protocol),
      timeouts(configured.timeouts),
      health(configured.health),
      hedge(configured.hedge),
      metrics(upstream_metrics),
      bounds{.requests = configured.circuit_breaker.max_requests.value_or(0),
             .retries = configured.circuit_breaker.max_retries,
             .retry_share = configured.retry.budget.share,
             .connections = {.most = configured.circuit_breaker.max_connections.value_or(0),
                             .pending = configured.circuit_breaker.max_pending},
             .adaptive = configured.adaptive_concurrency},
      load_(std::move(parts.load)),
      zone_(std::move(parts.zone)),
      node_(hash64(parts.node)),
      shares_{.panic = configured.health.panic.share,
              .slow_start = configured.slow_start,
              .hashed = configured.balance.hash.has_value(),
              .subset = configured.balance.subset},
      balancer_(configured.balance),
      written_(std::move(parts.targets)) {
  if (configured.balance.sticky) sticky_.emplace(*configured.balance.sticky, name);
  TargetList targets;
  for (Target& target : written_) {
    target.number = static_cast<uint16_t>(targets.size());
    if (sticky_) target.cookie = sticky_->value_of(target.authority);
    // Shares nothing: see TargetPointer.
    targets.emplace_back(std::shared_ptr<const Target>(), &target);
  }
  view_.store(make_view(std::move(targets), kNever).release(), std::memory_order_release);
  using Kind = config::RetryCondition::Kind;
  retry = {.attempts = configured.retry.attempts,
           .on_connect_failure = false,
           .on_reset = false,
           .on_timeout = false,
           .statuses = {},
           .grpc_statuses = 0,
           .budget = configured.retry.budget.share,
           .backoff = configured.retry.backoff,
           .body = configured.retry.body.bytes,
           .idempotency_key = configured.retry.idempotency_key};
  for (const config::RetryCondition& condition : configured.retry.on) {
    if (condition.kind == Kind::kConnectFailure) retry.on_connect_failure = true;
    if (condition.kind == Kind::kReset) retry.on_reset = true;
    if (condition.kind == Kind::kTimeout) retry.on_timeout = true;
    if (condition.kind == Kind::kStatus) retry.statuses.push_back(condition.status);
    if (condition.kind == Kind::kGrpcStatus) retry.grpc_statuses |= 1u << condition.status;
  }
}

Upstream::~Upstream() { delete view_.load(std::memory_order_acquire); }

std::string Upstream::proxy_header(const io::Address& client, const io::Address& destination) const {
  bool first = proxy_protocol == config::UpstreamProxyProtocol::kV1;
  return io::write_proxy_header(first ? io::ProxyVersion::kV1 : io::ProxyVersion::kV2, client, destination);
}

bool Upstream::record(const Target& target, int status) const {
  if (!health.passive) return false;
  const config::PassiveHealth& rules = *health.passive;
  TargetOutcomes& outcomes = target.identity->outcomes;
  bool failed = status == 0 || std::ranges::any_of(rules.statuses,
                                                   [&](const auto& range) { return range.contains(status); });
  if (failed) return outcomes.fail() == rules.consecutive_failures;
  outcomes.succeed();
  return false;
}

std::optional<uint16_t> Upstream::target_of_cookie(std::string_view value) const {
  for (const TargetPointer& target : view().targets)
    if (target && target->cookie == value) return target->number;
  return std::nullopt;
}

std::unique_ptr<const TargetView> Upstream::make_view(TargetList targets, Instant now) const {
  std::vector<TargetShare> shares;
  std::vector<TargetLoad*> loads;
  for (const TargetPointer& target : targets) {
    TargetShare& share = shares.emplace_back(TargetShare{.weight = 0});
    loads.push_back(target ? &target->identity->load : nullptr);
    if (!target) continue;
    const TargetHealth& state = target->identity->health;
    uint64_t key = hash64(target->authority);
    share = {.weight = target->weight,
             .priority = target->priority,
             .near = zone_.empty() || target->zone.empty() || target->zone == zone_,
             .healthy = state.healthy(),
             .healthy_since = state.healthy_since.load(std::memory_order_relaxed),
             .key = key,
             .rank = mix64(key ^ node_)};
  }
  auto view = gateway::make_view(shares, shares_, now);
  view->targets = std::move(targets);
  view->loads = std::move(loads);
  return view;
}

std::shared_ptr<TargetIdentity> TargetRegistry::find_or_make(const std::string& upstream,
                                                             const config::TargetUrl& url,
                                                             const TargetTls& tls) {
  std::lock_guard lock(mutex_);
  auto& known = identities_[upstream + " " + config::authority(url) + " " + tls.key + " " + tls.server_name];
  if (auto identity = known.lock()) return identity;
  auto identity = std::make_shared<TargetIdentity>(slots_, url.host, url.port, tls);
  known = identity;
  return identity;
}

std::shared_ptr<UpstreamLoad> TargetRegistry::load_of(const std::string& upstream) {
  std::lock_guard lock(mutex_);
  auto& known = loads_[upstream];
  if (auto load = known.lock()) return load;
  auto load = std::make_shared<UpstreamLoad>();
  known = load;
  return load;
}

void TargetRegistry::forget_unused() {
  std::lock_guard lock(mutex_);
  std::erase_if(loads_, [](const auto& entry) { return entry.second.expired(); });
  std::erase_if(identities_, [](const auto& entry) { return entry.second.expired(); });
}

std::vector<std::shared_ptr<TargetIdentity>> TargetRegistry::names() {
  std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<TargetIdentity>> names;
  for (auto& [key, known] : identities_)
    if (auto identity = known.lock(); identity && identity->is_name()) names.push_back(std::move(identity));
  return names;
}

}  // namespace sluice::gateway
