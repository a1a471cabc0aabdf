// `websocket`: what a WebSocket may carry and how long it may stand; the gateway then looks at its frames.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/types.h"
#include "gateway/exchange.h"
#include "gateway/policy_types.h"

namespace sluice::policies {

struct WebSocketConfig {
  std::optional<config::ByteSize> max_message;
  std::optional<config::ByteSize> max_upstream_message;
  std::optional<config::Rate> rate;
  Duration idle{};     // zero: `timeouts.stream_idle`
  Duration max_age{};  // zero: none
  std::vector<std::string> origins;
  bool compression = false;
  static const config::Struct<WebSocketConfig>& schema();
};

/// Other requests pass untouched. What both sides send is held to RFC 6455; who breaks it, or a limit, is
/// closed with the code that says so. Of two in a chain the inner one holds.
class WebSocket final : public gateway::Policy {
 public:
  WebSocket(const WebSocketConfig& configured, const gateway::PolicyContext& context);
  Hooks hooks() const override { return {.request = true}; }
  gateway::Step on_request(gateway::Exchange& exchange) const override;

  static const gateway::PolicyType& type();

 private:
  bool welcomes(std::string_view origin) const;

  gateway::WebSocketRules rules_;
  std::vector<std::string> origins_;  // in lower case
  bool compression_;
};

}  // namespace sluice::policies
