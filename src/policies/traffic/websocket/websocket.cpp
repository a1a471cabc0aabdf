#include "policies/traffic/websocket/websocket.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/ascii.h"
#include "gateway/worker.h"

namespace sluice::policies {

namespace {

constexpr std::string_view kExtensionsField = "sec-websocket-extensions";
constexpr std::string_view kSchemeEnd = "://";
constexpr std::string_view kAnyLabel = "*.";

constexpr gateway::Refusal kForeignOrigin{
    403, "websocket_origin", "WebSockets may not be opened from this origin.", telemetry::ErrorBy::kClient};

/// "https://*.example.com" fits every name below example.com (RFC 6454, section 6.2: scheme, host, port).
bool fits(std::string_view pattern, std::string_view origin) {
  size_t host = pattern.find(kSchemeEnd) + kSchemeEnd.size();
  if (!pattern.substr(host).starts_with(kAnyLabel)) return pattern == origin;
  std::string_view suffix = pattern.substr(host + 1);
  return origin.size() > host + suffix.size() && origin.starts_with(pattern.substr(0, host)) &&
         origin.ends_with(suffix);
}

void check_origins(const WebSocketConfig& configured, const config::Node& node, config::Reader& reader) {
  for (const std::string& origin : configured.origins) {
    size_t host = origin.find(kSchemeEnd);
    bool good = host != std::string::npos && host > 0 && host + kSchemeEnd.size() < origin.size() &&
                origin.find_first_of("/ ?#", host + kSchemeEnd.size()) == std::string::npos;
    if (!good)
      reader.error(
          node, "invalid-value",
          fmt::format("`{}` is no origin: a scheme and a host, and a port where it is not the scheme's, "
                      "such as `https://shop.example` or `https://*.shop.example:8443`",
                      origin));
  }
}

}  // namespace

const config::Struct<WebSocketConfig>& WebSocketConfig::schema() {
  static const auto schema =
      config::Struct<WebSocketConfig>("websocket", "Limits what a WebSocket carries and how long it stands.")
          .field("max_message", &WebSocketConfig::max_message,
                 "A client's message, all its frames together; a larger one closes with 1009.")
          .field("max_upstream_message", &WebSocketConfig::max_upstream_message,
                 "The same of the upstream's.")
          .field("rate", &WebSocketConfig::rate,
                 "How many messages a client may send in which time; more close with 1008.")
          .field("idle", &WebSocketConfig::idle,
                 "Closed with 1001 after so long without a byte; `0s`: `timeouts.stream_idle` holds.")
          .field("max_age", &WebSocketConfig::max_age, "Closed with 1001 after so long; `0s`: never.")
          .field("origins", &WebSocketConfig::origins,
                 "Whose pages may open one, `https://*.shop.example` too; others get 403. Empty: all.")
          .field("compression", &WebSocketConfig::compression,
                 "Whether client and upstream may agree on permessage-deflate; limits are then those of the "
                 "compressed bytes, and texts are not checked.")
          .check(check_origins);
  return schema;
}

WebSocket::WebSocket(const WebSocketConfig& configured, const gateway::PolicyContext& context)
    : compression_(configured.compression) {
  http::websocket::RelayRules& rules = rules_.rules;
  rules.idle = configured.idle;
  rules.max_age = configured.max_age;
  rules.checked = true;
  rules.of_client.check_text = rules.of_upstream.check_text = !compression_;
  if (configured.max_message) rules.of_client.max_message = configured.max_message->bytes;
  if (configured.max_upstream_message) rules.of_upstream.max_message = configured.max_upstream_message->bytes;
  if (configured.rate) {
    rules.of_client.rate_count = configured.rate->count;
    rules.of_client.rate_period = configured.rate->period;
  }
  rules_.limited = context.services.metrics.limited(context.id);
  for (const std::string& origin : configured.origins) origins_.push_back(ascii::to_lower(origin));
}

bool WebSocket::welcomes(std::string_view origin) const {
  std::string lower = ascii::to_lower(origin);
  return std::ranges::any_of(origins_, [&](const std::string& pattern) { return fits(pattern, lower); });
}

gateway::Step WebSocket::on_request(gateway::Exchange& exchange) const {
  if (exchange.server.upgrade.empty()) return gateway::Step::next();
  http::Fields& fields = exchange.request.fields;
  // Who is no browser names no origin, and could name any (RFC 6455, section 10.2).
  const http::Field* origin = origins_.empty() ? nullptr : fields.find("origin");
  if (origin && !welcomes(origin->value)) {
    exchange.worker.metrics().add(rules_.limited);
    return exchange.refuse(kForeignOrigin);
  }
  if (!compression_) fields.remove(kExtensionsField);
  exchange.websocket = &rules_;
  return gateway::Step::next();
}

const gateway::PolicyType& WebSocket::type() {
  static const gateway::PolicyType type{
      .name = "websocket",
      .schema = &WebSocketConfig::schema(),
      .build = [](const void* config, const gateway::PolicyContext& context)
          -> std::expected<std::shared_ptr<const gateway::Policy>, std::string> {
        return std::make_shared<const WebSocket>(*static_cast<const WebSocketConfig*>(config), context);
      },
  };
  return type;
}

}  // namespace sluice::policies
