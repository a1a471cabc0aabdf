#include "policies/traffic/rate_limit/rate_limit.h"

#include <algorithm>
#include <cstring>

#include "base/ascii.h"
#include "gateway/exchange.h"
#include "gateway/worker.h"
#include "http/syntax.h"

namespace sluice::config {

using Kind = policies::RateKeyPart::Kind;

namespace {
constexpr std::pair<std::string_view, Kind> kKeyNames[] = {
    {"consumer", Kind::kConsumer}, {"credential", Kind::kCredential}, {"address", Kind::kAddress},
    {"api", Kind::kApi},           {"route", Kind::kRoute},           {"gateway", Kind::kGateway}};
constexpr std::string_view kHeaderPrefix = "header:";
}  // namespace

Parsed<policies::RateKeyPart> ScalarTraits<policies::RateKeyPart>::parse(std::string_view text) {
  for (const auto& [name, kind] : kKeyNames)
    if (text == name) return policies::RateKeyPart{kind, {}};
  if (text.starts_with(kHeaderPrefix) && http::is_token(text.substr(kHeaderPrefix.size())))
    return policies::RateKeyPart{Kind::kHeader, std::string(text.substr(kHeaderPrefix.size()))};
  return std::unexpected("it is none of them");
}

std::string ScalarTraits<policies::RateKeyPart>::text(const policies::RateKeyPart& part) {
  for (const auto& [name, kind] : kKeyNames)
    if (part.kind == kind) return std::string(name);
  return std::string(kHeaderPrefix) + part.header;
}

using CostKind = policies::RateCost::Kind;

Parsed<policies::RateCost> ScalarTraits<policies::RateCost>::parse(std::string_view text) {
  constexpr std::string_view kResponsePrefix = "response:";
  policies::RateCost cost;
  bool response = text.starts_with(kResponsePrefix);
  if (response || text.starts_with(kHeaderPrefix)) {
    cost.kind = response ? CostKind::kResponse : CostKind::kRequest;
    cost.field = text.substr(response ? kResponsePrefix.size() : kHeaderPrefix.size());
    if (!http::is_token(cost.field)) return std::unexpected("that is no name of a field");
    return cost;
  }
  auto number = ascii::parse_decimal(text);
  if (!number || *number < 1 || *number > policies::RateCost::kMost)
    return std::unexpected("it is none of them");
  cost.fixed = static_cast<uint32_t>(*number);
  return cost;
}

std::string ScalarTraits<policies::RateCost>::text(const policies::RateCost& cost) {
  if (cost.kind == CostKind::kFixed) return std::to_string(cost.fixed);
  return (cost.kind == CostKind::kResponse ? "response:" : "header:") + cost.field;
}

}  // namespace sluice::config

namespace sluice::policies {

namespace {

using gateway::Exchange;
using gateway::Step;
using Kind = RateKeyPart::Kind;

/// A cost as a field says it; 1 when it says none.
uint32_t number_in(const http::Field* field) {
  auto number = field ? ascii::parse_decimal(field->value) : std::nullopt;
  return static_cast<uint32_t>(std::clamp<uint64_t>(number.value_or(1), 1, RateCost::kMost));
}

}  // namespace

const config::Struct<RateExemptions>& RateExemptions::schema() {
  static const auto schema = config::Struct<RateExemptions>("rate_exemptions", "Who is not limited.")
                                 .field("addresses", &RateExemptions::addresses, "Clients of these networks.")
                                 .field("consumers", &RateExemptions::consumers, "These consumers.")
                                 .field("groups", &RateExemptions::groups, "Consumers of these groups.");
  return schema;
}

const config::Struct<RateLimitConfig>& RateLimitConfig::schema() {
  using Config = RateLimitConfig;
  static const auto schema =
      config::Struct<Config>("rate_limit", "Limits how often a caller may ask; beyond it: 429.")
          .part(&Config::limit)
          .field("limits", &Config::limits, "Several limits that hold together, instead of one.")
          .field("key", &Config::key,
                 "Who shares one limit; a list joins them. `consumer` is the client's address where nobody "
                 "is known.")
          .one_or_many()
          .min_items(1)
          .field("ipv6_prefix", &Config::ipv6_prefix,
                 "So many bits of an IPv6 address tell callers apart: a subscriber has a whole network.")
          .range(1, 128)
          .unit("bits")
          .field("cost", &Config::cost,
                 "What one request counts: a number; what a field of the request says (`header:NAME`); or of "
                 "its answer (`response:NAME`), counted when it is known. Without a number there: 1.")
          .field("exempt", &Config::exempt, "Who is not limited.")
          .field("legacy_fields", &Config::legacy_fields,
                 "Also `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset` (seconds).")
          .part(&Config::sharing)
          .check([](const Config& configured, const config::Node& node, config::Reader& reader) {
            const config::Limit& limit = configured.limit;
            for (const char* name : {"rate", "quota", "burst", "algorithm", "timezone"})
              if (!configured.limits.empty() && node.find(name))
                reader.error(*node.find(name), "conflict", "either one limit here, or `limits`");
            if (configured.limits.empty() && !limit.rate && !limit.quota)
              reader.error(node, "missing-key", "it needs a `rate`, a `quota` or `limits`");
            config::check_limit(limit, node, reader);
            config::check_quotas(configured.limits, node, reader);
            config::check_sharing(configured.sharing, node, reader);
          });
  return schema;
}

RateLimit::RateLimit(const RateLimitConfig& configured, const gateway::PolicyContext& context)
    : limits_(
          context, configured.all_limits(),
          {.id = context.id, .identity = context.identity, .rates_of = {}, .sharing = configured.sharing}),
      cost_(configured.cost),
      parts_(configured.key),
      ipv6_prefix_(configured.ipv6_prefix),
      exempt_(configured.exempt),
      exempts_(!exempt_.addresses.empty() || !exempt_.consumers.empty() || !exempt_.groups.empty()),
      legacy_fields_(configured.legacy_fields),
      limited_(context.services.metrics.limited(context.id)) {}

bool RateLimit::is_exempt(const Exchange& exchange) const {
  if (!exempt_.addresses.empty()) {
    auto address = config::parse_ip(exchange.client_address());
    auto has = [&](const config::IpPrefix& network) { return network.contains(*address); };
    if (address && std::ranges::any_of(exempt_.addresses, has)) return true;
  }
  if (!exchange.identity) return false;
  if (std::ranges::find(exempt_.consumers, exchange.identity->consumer) != exempt_.consumers.end())
    return true;
  return std::ranges::any_of(exempt_.groups,
                             [&](const std::string& group) { return exchange.identity->is_in(group); });
}

std::string_view RateLimit::address_of(Exchange& exchange) const {
  std::string_view text = exchange.client_address();
  if (ipv6_prefix_ == 128 || text.find(':') == std::string_view::npos) return text;
  auto address = config::parse_ip(text);
  if (!address) return text;
  size_t whole = ipv6_prefix_ / 8;
  char* network = exchange.arena.allocate_chars(address->size());
  std::memset(network, 0, address->size());
  std::memcpy(network, address->data(), whole);
  if (ipv6_prefix_ % 8 != 0)
    network[whole] = static_cast<char>((*address)[whole] & 0xff << (8 - ipv6_prefix_ % 8));
  return {network, address->size()};
}

std::string_view RateLimit::text_of(const RateKeyPart& part, Exchange& exchange) const {
  switch (part.kind) {
    case Kind::kConsumer:
      // Nobody known: the address, marked so that no consumer's name can stand for one.
      return exchange.identity ? exchange.identity->consumer
                               : exchange.arena.concat("\n", address_of(exchange));
    case Kind::kCredential:
      return exchange.identity ? exchange.identity->credential_key
                               : exchange.arena.concat("\n", address_of(exchange));
    case Kind::kAddress:
      return address_of(exchange);
    case Kind::kApi:
      return exchange.plan->api;
    case Kind::kRoute:
      return exchange.arena.concat(exchange.plan->api, "\n", exchange.plan->route);
    case Kind::kGateway:
      return {};
    case Kind::kHeader: {
      const http::Field* field = exchange.request.fields.find(part.header);
      return field ? field->value : std::string_view();
    }
  }
  return {};
}

std::string_view RateLimit::key_of(Exchange& exchange) const {
  if (parts_.size() == 1) return text_of(parts_.front(), exchange);
  // Each part behind its length: no two lists of parts are one text.
  std::string_view joined;
  for (const RateKeyPart& part : parts_) {
    std::string_view text = text_of(part, exchange);
    joined = exchange.arena.concat(joined, number_text(text.size(), exchange.arena), ":", text);
  }
  return joined;
}

uint32_t RateLimit::cost_of(const Exchange& exchange) const {
  if (cost_.kind == RateCost::Kind::kFixed) return cost_.fixed;
  if (cost_.kind == RateCost::Kind::kResponse) return 1;
  return number_in(exchange.request.fields.find(cost_.field));
}

Step RateLimit::on_request(Exchange& exchange) const {
  if (exempts_ && is_exempt(exchange)) return Step::next();
  LimitSet::Asked* asked = limits_.ask(exchange, key_of(exchange), cost_of(exchange));
  exchange.state<LimitSet::Asked>() = asked;
  return LimitSet::enforce(exchange, *asked, limited_);
}

void RateLimit::on_response(Exchange& exchange) const {
  const auto* asked = exchange.state<LimitSet::Asked>();
  if (!asked) return;
  if (cost_.kind == RateCost::Kind::kResponse && asked->allowed) {
    uint32_t cost = number_in(exchange.response.fields.find(cost_.field));
    if (cost > 1) LimitSet::charge(exchange, *asked, cost - 1);
  }
  LimitSet::tell(exchange, *asked, legacy_fields_);
}

const gateway::PolicyType& RateLimit::type() {
  static const gateway::PolicyType type{
      .name = "rate_limit",
      .schema = &RateLimitConfig::schema(),
      .build = [](const void* config, const gateway::PolicyContext& context)
          -> std::expected<std::shared_ptr<const gateway::Policy>, std::string> {
        const auto& configured = *static_cast<const RateLimitConfig*>(config);
        auto store = check_store(configured.sharing, context);
        if (!store) return std::unexpected(store.error());
        return std::make_shared<const RateLimit>(configured, context);
      },
      .decides = true,
      .reads_shared = true,
      .needs_state =
          [](const void* config, const gateway::PolicyContext&) {
            return std::ranges::any_of(static_cast<const RateLimitConfig*>(config)->all_limits(),
                                       [](const config::Limit& limit) { return limit.quota.has_value(); });
          },
      .needs_identity = [](const void* config) -> std::string_view {
        for (const RateKeyPart& part : static_cast<const RateLimitConfig*>(config)->key)
          if (part.kind == Kind::kConsumer || part.kind == Kind::kCredential)
            return "`key` asks for the consumer, and no policy before it can know one: it counts by address";
        return {};
      },
  };
  return type;
}

}  // namespace sluice::policies
