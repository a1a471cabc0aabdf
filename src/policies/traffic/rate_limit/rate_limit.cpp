#include "policies/traffic/rate_limit/rate_limit.h"

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

}  // namespace sluice::config

namespace sluice::policies {

namespace {

using gateway::Exchange;
using gateway::Step;
using Kind = RateKeyPart::Kind;

}  // namespace

const config::Struct<RateLimitConfig>& RateLimitConfig::schema() {
  static const auto schema =
      config::Struct<RateLimitConfig>("rate_limit", "Limits how often a caller may ask; beyond it: 429.")
          .field("rate", &RateLimitConfig::rate, "How many requests in which time.")
          .required()
          .field("burst", &RateLimitConfig::burst,
                 "How many at once, by `gcra`; the count of `rate` when left out.")
          .range(1, 1e15)
          .unit("requests")
          .field("algorithm", &RateLimitConfig::algorithm,
                 "`gcra`: a full burst, then evenly; `fixed_window`: the count of `rate` in each period.")
          .field("key", &RateLimitConfig::key,
                 "Who shares one limit; a list joins them. `consumer` is the client's address where nobody "
                 "is known.")
          .one_or_many()
          .min_items(1)
          .field("cost", &RateLimitConfig::cost, "What one request counts.")
          .range(1, 1e6)
          .check([](const RateLimitConfig& limit, const config::Node& node, config::Reader& reader) {
            if (limit.burst && limit.algorithm != config::RateAlgorithm::kGcra)
              reader.error(*node.find("burst"), "conflict", "a window has no `burst`: it is its `rate`");
          });
  return schema;
}

RateLimit::RateLimit(const RateLimitConfig& configured, const gateway::PolicyContext& context)
    : limiter_(context.services.rates, configured.rate, configured.burst, configured.algorithm, context.id,
               context.identity),
      cost_(configured.cost),
      parts_(configured.key),
      limited_(context.services.metrics.limited(context.id)) {}

std::string_view RateLimit::key_of(Exchange& exchange) const {
  auto text_of = [&](const RateKeyPart& part) -> std::string_view {
    switch (part.kind) {
      case Kind::kConsumer:
        // Nobody known: the address, marked so that no consumer's name can stand for one.
        return exchange.identity ? exchange.identity->consumer
                                 : exchange.arena.concat("\n", exchange.client_address());
      case Kind::kCredential:
        return exchange.identity ? exchange.identity->credential_key
                                 : exchange.arena.concat("\n", exchange.client_address());
      case Kind::kAddress:
        return exchange.client_address();
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
  };
  if (parts_.size() == 1) return text_of(parts_.front());
  // Each part behind its length: no two lists of parts are one text.
  std::string_view joined;
  for (const RateKeyPart& part : parts_) {
    std::string_view text = text_of(part);
    joined = exchange.arena.concat(joined, number_text(text.size(), exchange.arena), ":", text);
  }
  return joined;
}

Step RateLimit::on_request(Exchange& exchange) const {
  auto* decision =
      exchange.arena.make<store::RateDecision>(limiter_.take(key_of(exchange), exchange.now(), cost_));
  exchange.state<store::RateDecision>() = decision;
  if (decision->allowed) return Step::next();
  exchange.worker.metrics().add(limited_);
  return Limiter::refuse(exchange, *decision);
}

void RateLimit::on_response(Exchange& exchange) const {
  const auto* decision = exchange.state<store::RateDecision>();
  if (!decision) return;
  exchange.response.fields.add(http::FieldName::kRateLimitPolicy, limiter_.policy_item());
  exchange.response.fields.add(http::FieldName::kRateLimit, limiter_.item(*decision, exchange.arena));
}

const gateway::PolicyType& RateLimit::type() {
  static const gateway::PolicyType type{
      .name = "rate_limit",
      .schema = &RateLimitConfig::schema(),
      .build = [](const void* config, const gateway::PolicyContext& context)
          -> std::expected<std::shared_ptr<const gateway::Policy>, std::string> {
        return std::make_shared<const RateLimit>(*static_cast<const RateLimitConfig*>(config), context);
      },
      .decides = true,
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
