#include "gateway/compiler.h"

#include <fmt/format.h>

#include "base/hash.h"
#include "gateway/brought_routes.h"
#include "gateway/destinations.h"
#include "gateway/digest.h"
#include "http/message.h"

namespace sluice::gateway {

namespace {

/// Where a listener with `redirect_https` sends requests.
uint16_t https_port(const config::Gateway& gateway, const config::Listener& listener) {
  if (listener.https_port) return listener.https_port;
  for (const config::Listener& other : gateway.listen)
    if (other.tls) return other.address.port;
  return 443;
}

constexpr std::string_view kRouteless = "*";  // the route of an API without routes, in logs and metrics

}  // namespace

/// One run of the compiler.
class Compilation {
 public:
  Compilation(Compiler& compiler, config::Document& document, const Snapshot* previous,
              config::Diagnostics& diagnostics)
      : compiler_(compiler),
        services_(compiler.services_),
        document_(document),
        previous_(previous),
        diagnostics_(diagnostics) {}

  std::unique_ptr<Compiled> run();

 private:
  /// Where a list of policies stands: names the state of what is on it.
  struct Place {
    const config::Api* api = nullptr;
    std::string_view api_name = {};
    const config::Route* route = nullptr;
    std::string_view route_name = {};
  };

  void compile_settings(Snapshot& next);
  void compile_upstreams();
  std::shared_ptr<const ApiNode> compile_api(const std::string& name, config::Api& api);
  std::shared_ptr<const ApiRouter> compile_router(const std::string& name, const config::Api& api,
                                                  std::span<const PlannedRoute> planned);
  std::shared_ptr<const RoutePlan> compile_route(const Place& place, const PlannedRoute& planned,
                                                 const ApiRouter& router, uint32_t number);
  std::shared_ptr<RoutePlan> make_plan(const Place& place, const config::Route* route,
                                       std::string_view route_name);
  std::shared_ptr<const Chain> compile_chain(const Place& place, const config::Route* route);
  std::shared_ptr<const Policy> compile_policy(const config::PolicyEntry& entry, const PolicyType& type,
                                               const std::string& identity);
  std::shared_ptr<const Policy> build_policy(const config::PolicyEntry& entry, const PolicyType& type,
                                             const std::string& identity);
  void check_fit(const Place& place, const std::vector<std::string>& parameters);
  void warn_about_identity(const std::vector<config::ChainLink>& links);
  std::vector<std::shared_ptr<const RoutePlan>> retired_plans(const Snapshot& next) const;

  Compiler& compiler_;
  Services& services_;
  config::Document& document_;
  const Snapshot* previous_;
  config::Diagnostics& diagnostics_;
  ContentDigest gateway_digest_;
  ContentDigest shared_digest_;  // of what policies read beside their own configuration
  RedisStores stores_;
  bool needs_state_ = false;
  CompiledUpstreams upstreams_;
  std::unordered_map<std::string_view, uint16_t> listeners_;
  std::unordered_map<std::string_view, const std::shared_ptr<const ApiNode>*> previous_apis_;
  std::unordered_map<const config::PolicyEntry*, std::shared_ptr<const Policy>>
      compiled_policies_;  // null: refused
};

std::unique_ptr<Compiled> Compilation::run() {
  auto next = std::make_shared<Snapshot>();
  compile_settings(*next);
  shared_digest_ = digest_of_struct(document_.plans);
  compile_upstreams();
  gateway_digest_ = combine(gateway_digest_, shared_digest_);
  for (const auto& [name, configured] : document_.upstreams)
    next->upstreams.push_back(upstreams_.by_name[name]);
  compiler_.streams_.compile(document_, upstreams_.by_name, services_.metrics, *next);
  if (previous_)
    for (const auto& node : previous_->apis) previous_apis_.emplace(node->entry.spec.name, &node);

  std::vector<ApiEntry> entries;
  for (auto& [name, api] : document_.apis) {
    auto node = compile_api(name, api);
    if (!node) continue;
    entries.push_back(node->entry);
    next->apis.push_back(std::move(node));
  }
  if (diagnostics_.has_errors()) return nullptr;
  auto root = RootRouter::build(entries);
  if (!root) {
    for (const BuildError& error : root.error())
      diagnostics_.error(document_.apis[error.first].second.origin, "api-matching", error.message);
    return nullptr;
  }
  next->router = *root;
  next->unmatched = make_plan({}, nullptr, {});
  if (diagnostics_.has_errors()) return nullptr;

  auto compiled = std::make_unique<Compiled>();
  compiled->credentials = compile_credentials(document_, services_.hasher);
  next->revision = ++compiler_.revision_;
  compiled->change.retired = retired_plans(*next);
  compiled->change.next = std::move(next);
  compiled->needs_state = needs_state_;
  compiled->state = document_.gateway.state;
  return compiled;
}

void Compilation::compile_settings(Snapshot& next) {
  const config::Gateway& gateway = document_.gateway;
  next.limits.request_target = static_cast<uint32_t>(gateway.limits.request_target.bytes);
  next.limits.request_head = static_cast<uint32_t>(gateway.limits.request_head.bytes);
  next.limits.request_fields = gateway.limits.request_fields;
  next.limits.request_body = gateway.limits.request_body.bytes;
  next.connections = {.total = gateway.limits.connections,
                      .per_address = gateway.limits.connections_per_address};
  next.queue_delay = gateway.limits.queue_delay;
  next.timeouts = {.header = gateway.timeouts.header,
                   .body_progress = gateway.timeouts.body_progress,
                   .keep_alive = gateway.timeouts.keep_alive};
  next.stream_idle = gateway.timeouts.stream_idle;
  next.trusted_proxies = gateway.trusted_proxies;
  std::vector<std::string>& names = compiler_.listener_names_;
  for (const config::Listener& listener : gateway.listen) {
    auto known = std::find(names.begin(), names.end(), listener.name);
    auto number = static_cast<uint16_t>(known - names.begin());
    if (known == names.end()) names.push_back(listener.name);
    listeners_.emplace(listener.name, number);
    // The loader has checked that it is an IP address.
    io::Address address =
        io::Address::parse_ip(listener.address.host, listener.address.port).value_or(io::Address{});
    ListenerSettings& settings = next.listeners.emplace_back();
    settings.name = listener.name;
    settings.number = number;
    settings.address = address;
    settings.protocol = listener.protocol;
    settings.proxy_protocol = listener.proxy_protocol;
    settings.waiting_bytes = static_cast<uint32_t>(listener.waiting.bytes);
    settings.http2 = listener.http2;
    if (listener.tls) {
      if (!compiler_.ticket_keys_) compiler_.ticket_keys_ = std::make_shared<tls::TicketKeys>();
      next.ticket_keys = compiler_.ticket_keys_;
      settings.tls = compiler_.tls_.listener(document_, listener, compiler_.ticket_keys_, diagnostics_);
      settings.self_signed = listener.tls->certificates.empty();
    }
    if (listener.redirect_https) {
      settings.redirect_port = https_port(gateway, listener);
      next.redirects = true;
    }
  }
  for (const auto& [name, certificate] : document_.certificates)
    if (certificate.loaded) next.certificates.push_back({certificate.loaded, certificate.fetch_ocsp});
  for (const auto& [name, certificate] : document_.certificates) {
    if (!certificate.acme) continue;
    std::shared_ptr<const tls::TrustStore> trust;
    for (const auto& [known, entry] : document_.trust)
      if (known == certificate.acme->ca) trust = entry.loaded;
    next.acme.push_back({.name = name,
                         .settings = *certificate.acme,
                         .folder = certificate.cert.substr(0, certificate.cert.rfind('/')),
                         .path = certificate.cert,
                         .loaded = certificate.loaded,
                         .trust = std::move(trust)});
  }

  // All that every route inherits: what changes here changes them all.
  gateway_digest_ = combine(digest_of_struct(gateway), digest_of_struct(document_.policies));
}

void Compilation::compile_upstreams() {
  for (const auto& [name, configured] : document_.upstreams) {
    ContentDigest digest;
    upstreams_.by_name.emplace(
        name, compiler_.upstreams_.upstream(document_, name, configured, digest, diagnostics_));
    upstreams_.digests.emplace(name, digest);
  }
  for (const auto& [name, configured] : document_.redis) {
    ContentDigest digest;
    stores_.emplace(name, compiler_.upstreams_.redis(document_, name, configured, digest, diagnostics_));
    shared_digest_ = combine(shared_digest_, digest);
  }
}

std::shared_ptr<const ApiNode> Compilation::compile_api(const std::string& name, config::Api& api) {
  // The API without its routes, and each route, by themselves: one changed route does not touch the others.
  std::vector<config::Route> routes = std::move(api.routes);
  api.routes.clear();
  ContentDigest own = combine(combine(gateway_digest_, digest_of(name)), digest_of_struct(api));
  api.routes = std::move(routes);
  own = with_upstreams(own, api, upstreams_);
  std::vector<PlannedRoute> planned = plan_routes(api, document_.policies, compiler_.policies_);
  std::vector<ContentDigest> route_digests;
  ContentDigest digest = own;
  for (const PlannedRoute& plan : planned) {
    ContentDigest of_route = own;
    if (const config::Route* route = plan.route)
      of_route = with_upstreams(combine(own, digest_of_struct(*route)), *route, upstreams_);
    if (plan.entry) {
      std::string way = fmt::format("{} {} {}", plan.spec.name, plan.spec.path, plan.number);
      of_route = combine(of_route, digest_of(way));
    }
    route_digests.push_back(of_route);
    digest = combine(digest, of_route);
  }

  const ApiNode* before = nullptr;
  if (auto known = previous_apis_.find(name); known != previous_apis_.end()) {
    if ((*known->second)->digest == digest) return *known->second;
    before = known->second->get();
  }
  std::unordered_map<ContentDigest, const std::shared_ptr<const RoutePlan>*, ContentDigest::Hash> known;
  if (before)
    for (size_t i = 0; i < before->route_digests.size(); ++i)
      known.emplace(before->route_digests[i], &before->routes[i]);

  if (planned.empty()) {
    planned.emplace_back().spec.name = kRouteless;
    route_digests.push_back(own);
  }
  auto router = compile_router(name, api, planned);
  if (!router) return nullptr;

  auto node = std::make_shared<ApiNode>();
  node->digest = digest;
  node->entry.spec = {.name = name, .listeners = {}, .hosts = api.hosts, .path = api.path};
  for (const std::string& listener : api.listeners)
    node->entry.spec.listeners.push_back(listeners_[listener]);
  node->entry.router = router;
  node->repeated_slash = api.repeated_slash;
  node->encoded_slash = api.encoded_slash;
  node->route_digests = std::move(route_digests);
  Place place{.api = &api, .api_name = name};
  node->unmatched = make_plan(place, nullptr, {});
  for (uint32_t i = 0; i < planned.size(); ++i) {
    auto reused = known.find(node->route_digests[i]);
    if (reused != known.end()) {
      node->routes.push_back(*reused->second);
      continue;
    }
    place.route = planned[i].route;
    place.route_name = planned[i].spec.name;
    node->routes.push_back(compile_route(place, planned[i], *router, i));
  }
  return node;
}

std::shared_ptr<const ApiRouter> Compilation::compile_router(const std::string& name, const config::Api& api,
                                                             std::span<const PlannedRoute> planned) {
  std::vector<RouteSpec> specs;
  for (const PlannedRoute& plan : planned) specs.push_back(plan.spec);
  auto built = ApiRouter::build(specs, api.repeated_slash == config::RepeatedSlash::kKeep);
  if (built) return *built;
  for (const BuildError& error : built.error()) {
    const PlannedRoute& plan = planned[error.first];
    config::Origin at = plan.entry ? plan.entry->origin : plan.route ? plan.route->origin : api.origin;
    diagnostics_.error(at, "route-matching", fmt::format("API `{}`: {}", name, error.message));
  }
  return nullptr;
}

std::shared_ptr<const RoutePlan> Compilation::compile_route(const Place& place, const PlannedRoute& planned,
                                                            const ApiRouter& router, uint32_t number) {
  auto plan = make_plan(place, place.route, place.route_name);
  if (planned.number != BroughtRoute::kNoNumber)
    plan->brought = {compiled_policies_[planned.entry].get(), planned.number, planned.way()};
  for (std::string_view parameter : router.parameter_names(number)) plan->parameters.emplace_back(parameter);
  check_fit(place, plan->parameters);
  RouteAction action{.route = place.route, .upstreams = {}, .parameters = plan->parameters};
  add_destinations(action, {place.api_name, place.route_name}, *place.api, upstreams_, services_.metrics,
                   compiler_.shifts_);
  auto handler = compiler_.handlers_.build(action);
  if (handler)
    plan->handler = std::move(*handler);
  else
    diagnostics_.error(place.route ? place.route->origin : place.api->origin, "route-action",
                       handler.error());
  return plan;
}

void Compilation::check_fit(const Place& place, const std::vector<std::string>& parameters) {
  std::span<const config::PolicyEntry> of_route;
  if (place.route) of_route = place.route->policies;
  for (const config::ChainLink& link :
       config::resolve_chain(document_.policies, place.api->policies, of_route)) {
    const PolicyType* type = compiler_.policies_.type(link.policy->type);
    if (!type->unfit_for) continue;
    std::string why = type->unfit_for(link.policy->config.get(), parameters);
    if (!why.empty())
      diagnostics_.error(link.policy->origin, "policy",
                         fmt::format("`{}` on route `{}` of API `{}`: {}", type->name, place.route_name,
                                     place.api_name, why));
  }
}

std::shared_ptr<RoutePlan> Compilation::make_plan(const Place& place, const config::Route* route,
                                                  std::string_view route_name) {
  auto plan = std::make_shared<RoutePlan>(services_.plan_slots);
  plan->api = place.api_name;
  plan->route = route_name;
  plan->chain = compile_chain(place, route);
  plan->metrics = services_.metrics.route(plan->api, plan->route);
  config::EffectiveSettings settings = config::effective_settings(document_.gateway, place.api, route);
  plan->total = settings.total;
  plan->request_body = settings.request_body.bytes;
  plan->grpc_message = settings.grpc_message.bytes;
  plan->strip_path = place.api && place.api->strip_path;
  plan->log = settings.access_log != config::AccessLogFormat::kOff;
  return plan;
}

std::shared_ptr<const Chain> Compilation::compile_chain(const Place& place, const config::Route* route) {
  std::span<const config::PolicyEntry> of_api;
  std::span<const config::PolicyEntry> of_route;
  if (place.api) of_api = place.api->policies;
  if (route) of_route = route->policies;
  std::vector<config::ChainLink> links = config::resolve_chain(document_.policies, of_api, of_route);
  warn_about_identity(links);

  Chain chain;
  ContentDigest digest{};
  for (const config::ChainLink& link : links) {
    const config::PolicyEntry& entry = *link.policy;
    const PolicyType* type = compiler_.policies_.type(entry.type);
    bool first = !compiled_policies_.contains(&entry);
    if (type->brings && first && link.level != config::PolicyLevel::kApi)
      diagnostics_.error(
          entry.origin, "policy",
          fmt::format("`{}` stands on an API, which gets the routes that it brings", entry.type));
    if (entry.dry_run && !type->decides) continue;
    std::string identity{config::level_text(link.level)};
    if (link.level != config::PolicyLevel::kGateway) identity += fmt::format("/{}", place.api_name);
    if (link.level == config::PolicyLevel::kRoute) identity += fmt::format("/{}", place.route_name);
    identity += fmt::format("/{}/{}", entry.type, entry.id);
    auto policy = compile_policy(entry, *type, identity);
    if (!policy) continue;
    uint64_t pointer = reinterpret_cast<uintptr_t>(policy.get());
    digest = combine(digest, ContentDigest{pointer, entry.dry_run});
    Chain::Link& compiled = chain.links.emplace_back();
    compiled.hooks = policy->hooks();
    compiled.policy = std::move(policy);
    compiled.dry_run = entry.dry_run;
    compiled.id = entry.id;
    if (entry.dry_run) compiled.dry_run_refusals = services_.metrics.dry_run();
  }
  std::weak_ptr<const Chain>& known = compiler_.known_chains_[digest];
  if (auto shared = known.lock()) return shared;
  auto made = std::make_shared<const Chain>(std::move(chain));
  known = made;
  return made;
}

std::shared_ptr<const Policy> Compilation::compile_policy(const config::PolicyEntry& entry,
                                                          const PolicyType& type,
                                                          const std::string& identity) {
  // An entry of the gateway or of an API is in the chain of each of its routes.
  auto [compiled, first] = compiled_policies_.try_emplace(&entry);
  if (first) compiled->second = build_policy(entry, type, identity);
  return compiled->second;
}

std::shared_ptr<const Policy> Compilation::build_policy(const config::PolicyEntry& entry,
                                                        const PolicyType& type, const std::string& identity) {
  auto json = config::JsonWriter::for_digest();
  entry.schema_of_config->write(entry.config.get(), json);
  ContentDigest digest = combine(digest_of(identity), digest_of(json.text()));
  if (entry.dry_run) digest = combine(digest, {1, 1});
  if (type.reads_shared) digest = combine(digest, shared_digest_);
  PolicyContext context{services_, entry.id, identity, entry.dry_run, document_.plans, stores_};
  needs_state_ |= type.needs_state && type.needs_state(entry.config.get(), context);
  std::weak_ptr<const Policy>& known = compiler_.known_policies_[digest];
  if (auto policy = known.lock()) return policy;
  auto built = type.build(entry.config.get(), context);
  if (!built) {
    diagnostics_.error(entry.origin, "policy", fmt::format("`{}`: {}", entry.type, built.error()));
    return nullptr;
  }
  known = *built;
  return *built;
}

void Compilation::warn_about_identity(const std::vector<config::ChainLink>& links) {
  bool identified = false;
  for (const config::ChainLink& link : links) {
    const PolicyType* type = compiler_.policies_.type(link.policy->type);
    identified |= type->identifies;
    if (identified || !type->needs_identity) continue;
    std::string_view warning = type->needs_identity(link.policy->config.get());
    if (warning.empty()) continue;
    // One policy may be in the chains of many routes.
    bool said =
        std::any_of(diagnostics_.problems().begin(), diagnostics_.problems().end(), [&](const auto& problem) {
          return problem.rule == "no-identity" && problem.at == link.policy->origin;
        });
    if (!said)
      diagnostics_.warning(link.policy->origin, "no-identity",
                           fmt::format("`{}`: {}", link.policy->type, warning));
  }
}

std::vector<std::shared_ptr<const RoutePlan>> Compilation::retired_plans(const Snapshot& next) const {
  std::vector<std::shared_ptr<const RoutePlan>> retired;
  if (!previous_) return retired;
  std::vector<bool> alive;
  next.for_each_plan([&](const std::shared_ptr<const RoutePlan>& plan) {
    if (plan->slot >= alive.size()) alive.resize(plan->slot + 1024, false);
    alive[plan->slot] = true;
  });
  previous_->for_each_plan([&](const std::shared_ptr<const RoutePlan>& plan) {
    if (plan->slot >= alive.size() || !alive[plan->slot]) retired.push_back(plan);
  });
  return retired;
}

Compiler::Compiler(Services& services, const PolicyTypes& policies, const HandlerTypes& handlers)
    : services_(services),
      policies_(policies),
      handlers_(handlers),
      tls_(services.challenges.certificates),
      upstreams_(services, targets_, tls_) {}

std::unique_ptr<Compiled> Compiler::compile(config::Document& document,
                                            std::shared_ptr<const Snapshot> previous,
                                            config::Diagnostics& diagnostics) {
  auto forget = [](auto& known) {
    std::erase_if(known, [](const auto& entry) { return entry.second.expired(); });
  };
  forget(known_policies_);
  forget(known_chains_);
  upstreams_.forget_unused();
  targets_.forget_unused();
  shifts_.forget_unused();
  tls_.recall(document);
  return Compilation(*this, document, previous.get(), diagnostics).run();
}

}  // namespace sluice::gateway
