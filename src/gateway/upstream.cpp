#include "gateway/upstream.h"

#include <numeric>

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

Upstream::Upstream(std::string upstream_name, const config::Upstream& configured,
                   std::vector<Target> upstream_targets, const telemetry::UpstreamMetrics& upstream_metrics)
    : name(std::move(upstream_name)),
      targets(std::move(upstream_targets)),
      host(configured.host),
      protocol(configured.protocol),
      proxy_protocol(configured.proxy_protocol),
      timeouts(configured.timeouts),
      metrics(upstream_metrics),
      schedule_(smooth_schedule(targets)) {
  using Kind = config::RetryCondition::Kind;
  retry = {.attempts = configured.retry.attempts,
           .on_connect_failure = false,
           .on_reset = false,
           .on_timeout = false,
           .statuses = {},
           .grpc_statuses = 0};
  for (const config::RetryCondition& condition : configured.retry.on) {
    if (condition.kind == Kind::kConnectFailure) retry.on_connect_failure = true;
    if (condition.kind == Kind::kReset) retry.on_reset = true;
    if (condition.kind == Kind::kTimeout) retry.on_timeout = true;
    if (condition.kind == Kind::kStatus) retry.statuses.push_back(condition.status);
    if (condition.kind == Kind::kGrpcStatus) retry.grpc_statuses |= 1u << condition.status;
  }
}

std::string Upstream::proxy_header(const io::Address& client, const io::Address& destination) const {
  bool first = proxy_protocol == config::UpstreamProxyProtocol::kV1;
  return io::write_proxy_header(first ? io::ProxyVersion::kV1 : io::ProxyVersion::kV2, client, destination);
}

std::vector<uint16_t> smooth_schedule(const std::vector<Target>& targets) {
  uint64_t divisor = 0;
  uint64_t total = 0;
  for (const Target& target : targets) {
    divisor = std::gcd(divisor, uint64_t{target.weight});
    total += target.weight;
  }
  if (total == 0) return {};
  std::vector<int64_t> weights;
  for (const Target& target : targets) {
    uint64_t weight = target.weight / divisor;
    if (total / divisor > kMaxRound && weight)
      weight = std::max<uint64_t>(1, target.weight * kMaxRound / total);
    weights.push_back(static_cast<int64_t>(weight));
  }
  int64_t round = std::accumulate(weights.begin(), weights.end(), int64_t{0});
  std::vector<int64_t> current(weights.size(), 0);
  std::vector<uint16_t> schedule;
  for (int64_t turn = 0; turn < round; ++turn) {
    for (size_t i = 0; i < weights.size(); ++i) current[i] += weights[i];
    auto best = std::max_element(current.begin(), current.end());
    *best -= round;
    schedule.push_back(static_cast<uint16_t>(best - current.begin()));
  }
  return schedule;
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

void TargetRegistry::forget_unused() {
  std::lock_guard lock(mutex_);
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
