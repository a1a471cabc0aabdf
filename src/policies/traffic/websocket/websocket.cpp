#include "policies/traffic/websocket/websocket.h"

#include <algorithm>

#include "gateway/worker.h"
#include "http/websocket/handshake.h"

namespace sluice::policies {

namespace {

using gateway::Exchange;
using gateway::Step;
using gateway::WebSocketRules;
using http::websocket::MessageLimits;

constexpr gateway::Refusal kForeignOrigin{403, "websocket_origin",
                                          "Pages of this origin may not open a WebSocket here.",
                                          telemetry::ErrorBy::kClient};

MessageLimits limits_of(const std::optional<config::ByteSize>& size,
                        const std::optional<config::Rate>& rate) {
  MessageLimits limits;
  if (size) limits.max_message = size->bytes;
  if (rate) {
    limits.rate_count = rate->count;
    limits.rate_period = rate->period;
  }
  return limits;
}

/// The smaller one, where 0 is none.
template <class T>
T tighter(T a, T b) {
  if (a == T{}) return b;
  return b == T{} ? a : std::min(a, b);
}

MessageLimits tighter(const MessageLimits& a, const MessageLimits& b) {
  MessageLimits limits = a;
  limits.max_message = tighter(a.max_message, b.max_message);
  // By how long one message lasts.
  auto each = [](const MessageLimits& of) {
    return of.rate_count == 0
               ? 0.0
               : static_cast<double>(of.rate_period.count()) / static_cast<double>(of.rate_count);
  };
  if (each(b) > each(a)) {
    limits.rate_count = b.rate_count;
    limits.rate_period = b.rate_period;
  }
  return limits;
}

}  // namespace

const config::Struct<WebSocketConfig>& WebSocketConfig::schema() {
  static const auto schema =
      config::Struct<WebSocketConfig>(
          "websocket", "Holds WebSockets to RFC 6455 and to limits; nothing to other requests.")
          .field("max_message", &WebSocketConfig::max_message,
                 "The largest message that a client may send; beyond it: closed with 1009.")
          .range(1, 1e18)
          .field("max_upstream_message", &WebSocketConfig::max_upstream_message,
                 "The same of the upstream's.")
          .range(1, 1e18)
          .field("rate", &WebSocketConfig::rate,
                 "How many messages a client may send in which time, pings and empty fragments counted, "
                 "refilled evenly; beyond it: closed with 1008.")
          .field("upstream_rate", &WebSocketConfig::upstream_rate, "The same of the upstream's.")
          .field("idle", &WebSocketConfig::idle,
                 "How long no byte may pass in either direction; then: closed with 1001. 0s: "
                 "`timeouts.stream_idle`.")
          .field("max_age", &WebSocketConfig::max_age,
                 "How long it may be open; then: closed with 1001. 0s: for ever.")
          .field("origins", &WebSocketConfig::origins,
                 "Whose pages may open one, as browsers say in `Origin`; others: 403. Requests without "
                 "`Origin` come from no page and pass. Empty: any.")
          .field("compression", &WebSocketConfig::compression,
                 "Lets client and upstream agree to compress messages (RFC 7692). Their sizes are then those "
                 "on the wire, and texts are not checked.");
  return schema;
}

WebSocket::WebSocket(const WebSocketConfig& configured, const gateway::PolicyContext& context)
    : origins_(configured.origins), compression_(configured.compression || context.dry_run) {
  rules_.rules = {.checked = true,
                  .dry_run = context.dry_run,
                  .of_client = limits_of(configured.max_message, configured.rate),
                  .of_upstream = limits_of(configured.max_upstream_message, configured.upstream_rate)};
  rules_.limited =
      context.dry_run ? context.services.metrics.dry_run() : context.services.metrics.limited(context.id);
  if (context.dry_run) return;
  rules_.rules.idle = configured.idle;
  rules_.rules.max_age = configured.max_age;
}

bool WebSocket::origin_fits(const http::Request& request) const {
  if (origins_.empty()) return true;
  bool fits = true;
  int seen = 0;
  for (const http::Field& field : request.fields) {
    if (!ascii::equal_ignoring_case(field.name, "Origin")) continue;
    ++seen;
    fits = std::any_of(origins_.begin(), origins_.end(),
                       [&](const auto& pattern) { return pattern.matches(field.value); });
  }
  return seen == 0 || (seen == 1 && fits);
}

Step WebSocket::on_request(Exchange& exchange) const {
  http::Request& request = exchange.request;
  if (exchange.server.upgrade.empty()) return Step::next();
  exchange.websocket = joined_with(exchange.websocket, exchange.arena);
  if (!compression_)
    request.fields.remove_if([](const http::Field& field) {
      return ascii::equal_ignoring_case(field.name, http::websocket::kExtensionsField);
    });
  if (origin_fits(request)) return Step::next();
  if (!rules_.rules.dry_run) exchange.worker.metrics().add(rules_.limited);
  return exchange.refuse(kForeignOrigin);
}

const WebSocketRules* WebSocket::joined_with(const WebSocketRules* before, Arena& arena) const {
  // A dry run enforces nothing, nor does it loosen.
  if (!before || before->rules.dry_run) return &rules_;
  if (rules_.rules.dry_run) return before;
  auto* joined = arena.make<WebSocketRules>(rules_);
  joined->rules.idle = tighter(before->rules.idle, rules_.rules.idle);
  joined->rules.max_age = tighter(before->rules.max_age, rules_.rules.max_age);
  joined->rules.of_client = tighter(before->rules.of_client, rules_.rules.of_client);
  joined->rules.of_upstream = tighter(before->rules.of_upstream, rules_.rules.of_upstream);
  return joined;
}

const gateway::PolicyType& WebSocket::type() {
  static const gateway::PolicyType type{
      .name = "websocket",
      .schema = &WebSocketConfig::schema(),
      .build = [](const void* config, const gateway::PolicyContext& context)
          -> std::expected<std::shared_ptr<const gateway::Policy>, std::string> {
        return std::make_shared<const WebSocket>(*static_cast<const WebSocketConfig*>(config), context);
      },
      .decides = true,
  };
  return type;
}

}  // namespace sluice::policies
