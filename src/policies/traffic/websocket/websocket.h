// `websocket`: what a WebSocket may carry, for how long, and whose pages may open one.
#pragma once

#include <optional>
#include <vector>

#include "config/types.h"
#include "gateway/exchange.h"
#include "gateway/policy_types.h"
#include "http/origin.h"

namespace sluice::policies {

struct WebSocketConfig {
  std::optional<config::ByteSize> max_message;
  std::optional<config::ByteSize> max_upstream_message;
  std::optional<config::Rate> rate;
  std::optional<config::Rate> upstream_rate;
  Duration idle{};     // zero: `timeouts.stream_idle`
  Duration max_age{};  // zero: none
  std::vector<http::OriginPattern> origins;
  bool compression = false;
  static const config::Struct<WebSocketConfig>& schema();
};

/// Looks at the handshake only. What it demands of the messages is left in the exchange, for whoever carries
/// them; of several such policies the smaller of each limit holds.
class WebSocket final : public gateway::Policy {
 public:
  WebSocket(const WebSocketConfig& configured, const gateway::PolicyContext& context);
  Hooks hooks() const override { return {.request = true}; }
  gateway::Step on_request(gateway::Exchange& exchange) const override;

  static const gateway::PolicyType& type();

 private:
  bool origin_fits(const http::Request& request) const;
  const gateway::WebSocketRules* joined_with(const gateway::WebSocketRules* before, Arena& arena) const;

  gateway::WebSocketRules rules_;
  std::vector<http::OriginPattern> origins_;
  bool compression_;
};

}  // namespace sluice::policies

template <>
struct sluice::config::ScalarTraits<sluice::http::OriginPattern> {
  static constexpr std::string_view kName = "origin";
  static constexpr std::string_view kExpected =
      "an origin such as `https://shop.example` or `https://*.example.com`";
  static constexpr std::string_view kPattern = "^(null|[a-zA-Z][a-zA-Z0-9+.-]*://[^/]+)$";
  static constexpr bool kPlainNumber = false;
  static Parsed<http::OriginPattern> parse(std::string_view text) { return http::OriginPattern::parse(text); }
  static std::string text(const http::OriginPattern& pattern) { return pattern.text(); }
};
