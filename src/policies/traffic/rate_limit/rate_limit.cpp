#include "policies/traffic/rate_limit/rate_limit.h"

#include <fmt/format.h>

#include "base/hash.h"
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

constexpr gateway::Refusal kTooMany{429, "rate_limited", "Too many requests; try again later."};

/// A day is as long as any client waits; what takes longer is told as that.
uint64_t whole_seconds(Duration duration) {
  constexpr auto kLongest = std::chrono::hours(24 * 366);
  Duration bounded = std::min<Duration>(duration, kLongest);
  return static_cast<uint64_t>(std::chrono::ceil<std::chrono::seconds>(bounded).count());
}

std::string_view number_text(uint64_t value, Arena& arena) {
  char* to = arena.allocate_chars(20);
  return {to, static_cast<size_t>(std::to_chars(to, to + 20, value).ptr - to)};
}

}  // namespace

const config::Struct<RateLimitConfig>& RateLimitConfig::schema() {
  static const auto schema =
      config::Struct<RateLimitConfig>("rate_limit", "Limits how often a caller may ask; beyond it: 429.")
          .field("rate", &RateLimitConfig::rate, "How many requests in which time, refilled evenly.")
          .required()
          .field("burst", &RateLimitConfig::burst, "How many at once; the count of `rate` when left out.")
          .range(1, 1e15)
          .unit("requests")
          .field("algorithm", &RateLimitConfig::algorithm, "How it is counted.")
          .field("key", &RateLimitConfig::key,
                 "Who shares one limit; a list joins them. `consumer` is the client's address where nobody "
                 "is known.")
          .one_or_many()
          .min_items(1)
          .field("cost", &RateLimitConfig::cost, "What one request counts.")
          .range(1, 1e6);
  return schema;
}

RateLimit::RateLimit(const RateLimitConfig& configured, const gateway::PolicyContext& context)
    : table_(context.services.rates),
      limit_(store::GcraLimit::of(configured.rate.count, configured.rate.period,
                                  configured.burst.value_or(configured.rate.count))),
      identity_(hash64(
          fmt::format("{} {} {}", context.identity, limit_.interval.count(), limit_.tolerance.count()))),
      cost_(configured.cost),
      parts_(configured.key),
      quoted_id_(fmt::format("\"{}\"", context.id)),
      policy_text_(fmt::format("{};q={};w={}", quoted_id_, configured.rate.count,
                               whole_seconds(configured.rate.period))),
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
  store::RateKey key = table_.key(identity_, key_of(exchange));
  auto* decision = exchange.arena.make<store::RateDecision>(table_.take(key, limit_, exchange.now(), cost_));
  exchange.state<store::RateDecision>() = decision;
  if (decision->allowed) return Step::next();
  exchange.worker.metrics().add(limited_);
  Step refused = exchange.refuse(kTooMany);
  uint64_t seconds = std::max<uint64_t>(1, whole_seconds(decision->retry_after));
  exchange.response.fields.add(http::FieldName::kRetryAfter, number_text(seconds, exchange.arena));
  return refused;
}

void RateLimit::on_response(Exchange& exchange) const {
  const auto* decision = exchange.state<store::RateDecision>();
  if (!decision) return;
  Arena& arena = exchange.arena;
  exchange.response.fields.add(http::FieldName::kRateLimitPolicy, policy_text_);
  exchange.response.fields.add(http::FieldName::kRateLimit,
                               arena.concat(quoted_id_, ";r=", number_text(decision->remaining, arena),
                                            ";t=", number_text(whole_seconds(decision->reset_after), arena)));
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
