#include "handlers/proxy/websocket_tunnel.h"

#include "gateway/worker.h"
#include "http/websocket/handshake.h"

namespace sluice::handlers {

namespace websocket = http::websocket;

namespace {

using telemetry::ErrorBy;
using websocket::RelayEnd;

websocket::RelayRules rules_for(const gateway::Exchange& exchange) {
  websocket::RelayRules rules;
  if (exchange.websocket) rules = exchange.websocket->rules;
  if (rules.checked)
    rules.of_client.compression = rules.of_upstream.compression = websocket::compresses(exchange.response);
  if (rules.idle == Duration::zero()) rules.idle = exchange.worker.snapshot().stream_idle;
  return rules;
}

/// For the log.
gateway::TunnelEnd end_for(RelayEnd end) {
  std::string_view how = websocket::relay_end_text(end);
  switch (end) {
    case RelayEnd::kClient:
    case RelayEnd::kUpstream:
      return {how, {}};
    case RelayEnd::kMessageSize:
      return {how, "websocket_message_size", ErrorBy::kClient};
    case RelayEnd::kMessageRate:
      return {how, "websocket_message_rate", ErrorBy::kClient};
    case RelayEnd::kProtocol:
      return {how, "websocket_protocol", ErrorBy::kClient};
    case RelayEnd::kUpstreamMessageSize:
      return {how, "websocket_message_size", ErrorBy::kUpstream};
    case RelayEnd::kUpstreamMessageRate:
      return {how, "websocket_message_rate", ErrorBy::kUpstream};
    case RelayEnd::kUpstreamProtocol:
      return {how, "websocket_protocol", ErrorBy::kUpstream};
    case RelayEnd::kIdle:
      return {how, "websocket_idle", ErrorBy::kGateway};
    case RelayEnd::kMaxAge:
      return {how, "websocket_max_age", ErrorBy::kGateway};
    case RelayEnd::kDrain:
      return {how, "drain", ErrorBy::kGateway};
    case RelayEnd::kCancelled:
      return {how, "cancelled", ErrorBy::kGateway};
  }
  return {how, {}};
}

/// Whether a policy has ended it.
bool is_limit(RelayEnd end) {
  return end != RelayEnd::kClient && end != RelayEnd::kUpstream && end != RelayEnd::kDrain &&
         end != RelayEnd::kCancelled;
}

}  // namespace

WebSocketTunnel::WebSocketTunnel(gateway::Exchange& exchange, io::Stream& client,
                                 http::ClientTunnel& upstream, WebSocketPlace place)
    : gateway::Tunnel(exchange, client),
      place_(std::move(place)),
      upstream_(upstream),
      relay_(exchange.loop(), client, upstream.stream(), exchange.server.token, rules_for(exchange)),
      metrics_(exchange.worker.metrics()) {
  if (exchange.websocket) limited_ = exchange.websocket->limited;
  begin();
}

io::Task<> WebSocketTunnel::run() {
  co_await relay_.run();
  upstream_.end();
  gateway::TunnelEnd end = end_for(relay_.end());
  end.count = relay_.count();
  if (is_limit(relay_.end()) || relay_.observed()) metrics_.add(limited_);
  if (relay_.observed()) end.dry_run = end_for(*relay_.observed()).error_code;
  ended(end);
}

const http::Error* check_upgrade(gateway::Exchange& exchange) {
  http::Request& request = exchange.request;
  // Over HTTP/2 there is no key (RFC 8441, section 5); towards an HTTP/1.1 upstream there must be one.
  bool keyed = request.version != http::Version::kHttp2;
  const http::Error* error = websocket::check_request(request, keyed);
  if (!error && !keyed) {
    websocket::Key key = websocket::make_key(exchange.loop().random());
    request.fields.set(websocket::kKeyField, exchange.arena.copy({key.data(), key.size()}));
  }
  return error;
}

void refuse_upgrade(gateway::Exchange& exchange, const http::Error& error) {
  std::ignore = exchange.refuse({error.status, error.code, error.detail, ErrorBy::kClient});
  if (error.status != 426) return;
  exchange.response.upgrade = exchange.server.upgrade;
  exchange.response.fields.add(websocket::kVersionField, websocket::kVersion);
}

}  // namespace sluice::handlers
