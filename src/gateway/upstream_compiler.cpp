#include "gateway/upstream_compiler.h"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::gateway {

namespace {

/// What a certificate must be for. Of a service that is the domain that the document names, not the servers
/// that an answer of DNS lists, for anybody on the way may have made that (RFC 9525, section 6.1):
/// `_users._tcp.example.com` stands for `example.com`.
std::string server_name(const config::TargetUrl& url) {
  std::string_view name = url.host;
  while (url.service && name.starts_with('_')) {
    size_t dot = name.find('.');
    if (dot == std::string_view::npos) return url.host;
    name.remove_prefix(dot + 1);
  }
  return std::string(name);
}

}  // namespace

std::shared_ptr<const Upstream> UpstreamCompiler::upstream(const config::Document& document,
                                                           const std::string& name,
                                                           const config::Upstream& configured,
                                                           ContentDigest& digest,
                                                           config::Diagnostics& diagnostics) {
  digest = combine(digest_of(name), digest_of_struct(configured));
  const std::string& zone = document.gateway.zone;
  if (!zone.empty()) digest = combine(digest, digest_of(zone));
  const std::string& node = document.gateway.node.empty() ? services_.node : document.gateway.node;
  if (configured.balance.subset > 0) digest = combine(digest, digest_of(node));
  std::shared_ptr<const tls::ClientContext> tls;
  ContentDigest tls_digest;
  if (std::ranges::any_of(configured.targets, [](const auto& target) { return target.url.tls(); })) {
    tls = tls_.upstream(document, configured, tls_digest, diagnostics);
    digest = combine(digest, tls_digest);
  }
  std::weak_ptr<const Upstream>& known = known_[digest];
  if (auto upstream = known.lock()) return upstream;
  UpstreamParts parts{.load = targets_.load_of(name), .zone = zone, .node = node};
  for (const config::Target& target : configured.targets) {
    TargetTls target_tls;
    if (target.url.tls())
      target_tls = {.context = tls,
                    .server_name = configured.tls.sni.empty() ? server_name(target.url) : configured.tls.sni,
                    .key = fmt::format("{:x}.{:x}", tls_digest.high, tls_digest.low)};
    if (target.url.service)
      parts.services.push_back({.name = target.url.host,
                                .base_path = target.url.base_path,
                                .tls = std::move(target_tls),
                                .weight = target.weight,
                                .priority = target.priority,
                                .zone = target.zone});
    else
      parts.targets.push_back({.identity = targets_.find_or_make(name, target.url, target_tls),
                               .authority = config::authority(target.url),
                               .base_path = target.url.base_path,
                               .weight = target.weight,
                               .priority = target.priority,
                               .zone = target.zone});
  }
  telemetry::UpstreamMetrics metrics = services_.metrics.upstream(name);
  if (configured.adaptive_concurrency) metrics.concurrency_limit = services_.metrics.concurrency_limit(name);
  if (configured.hedge) metrics.hedges = services_.metrics.hedges(name);
  auto made = std::make_shared<const Upstream>(name, configured, std::move(parts), metrics);
  known = made;
  return made;
}

std::shared_ptr<const RedisStore> UpstreamCompiler::redis(const config::Document& document,
                                                          const std::string& name,
                                                          const config::RedisStore& configured,
                                                          ContentDigest& digest,
                                                          config::Diagnostics& diagnostics) {
  // Connected to as to any upstream; no upstream of the document can have this name.
  config::Upstream connected;
  connected.timeouts.connect = configured.connect_timeout;
  auto add = [&](const auto& place, bool tls) {
    config::Target& target = connected.targets.emplace_back();
    target.url.host = place.host;
    target.url.port = place.port;
    target.url.scheme = tls ? config::TargetScheme::kHttps : config::TargetScheme::kTcp;
  };
  // How servers are spoken to that are not in the document.
  config::Upstream found;
  if (configured.tls) found.tls = *configured.tls;
  connected.tls = found.tls;
  if (configured.url) {
    add(*configured.url, configured.url->tls);
  } else if (configured.sentinel) {
    connected.tls = configured.sentinel->tls.value_or(config::UpstreamTls());
    for (const auto& place : configured.sentinel->addresses) add(place, configured.sentinel->tls.has_value());
  } else {
    for (const auto& place : configured.cluster->addresses) add(place, configured.tls.has_value());
  }
  auto way = upstream(document, "redis:" + name, connected, digest, diagnostics);
  TargetTls node_tls;
  if (configured.tls && !configured.url) {
    ContentDigest tls_digest;
    node_tls.context = tls_.upstream(document, found, tls_digest, diagnostics);
    node_tls.server_name = found.tls.sni;
    node_tls.key = fmt::format("{:x}.{:x}", tls_digest.high, tls_digest.low);
    digest = combine(digest, tls_digest);
  }
  digest = combine(digest, digest_of_struct(configured));
  std::weak_ptr<const RedisStore>& known = known_stores_[digest];
  if (auto store = known.lock()) return store;
  using Topology = RedisStore::Topology;
  RedisStore store{.name = name,
                   .upstream = std::move(way),
                   .login = {configured.user, configured.password},
                   .database = configured.database,
                   .master = {},
                   .sentinel_login = {},
                   .node_tls = std::move(node_tls),
                   .targets = targets_,
                   .timeout = configured.timeout,
                   .metrics = services_.metrics.store(name)};
  if (configured.url) {
    store.login = {configured.url->user, configured.url->password};
    store.database = configured.url->database;
  } else if (configured.sentinel) {
    store.topology = Topology::kSentinel;
    store.master = configured.sentinel->master;
    store.sentinel_login = {configured.sentinel->user, configured.sentinel->password};
  } else {
    store.topology = Topology::kCluster;
  }
  auto made = std::make_shared<const RedisStore>(std::move(store));
  known = made;
  return made;
}

void UpstreamCompiler::forget_unused() {
  std::erase_if(known_, [](const auto& entry) { return entry.second.expired(); });
  std::erase_if(known_stores_, [](const auto& entry) { return entry.second.expired(); });
}

}  // namespace sluice::gateway
