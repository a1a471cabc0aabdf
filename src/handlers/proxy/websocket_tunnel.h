// A proxied WebSocket, from its handshake to its end.
#pragma once

#include "gateway/exchange.h"
#include "gateway/tunnel.h"
#include "http/client.h"
#include "http/websocket/relay.h"

namespace sluice::handlers {

class WebSocketTunnel final : public gateway::Tunnel {
 public:
  /// What the policies of the exchange demand is copied.
  WebSocketTunnel(gateway::Exchange& exchange, io::Stream& client, http::ClientTunnel& upstream);
  io::Task<> run() override;
  void drain() override { relay_.drain(); }

 private:
  http::ClientTunnel& upstream_;
  http::websocket::Relay relay_;
  telemetry::WorkerMetrics& metrics_;
  telemetry::Counter limited_;
};

/// Null: the request may go on to become a WebSocket, and has a key; else what stands against it.
const http::Error* check_upgrade(gateway::Exchange& exchange);
void refuse_upgrade(gateway::Exchange& exchange, const http::Error& error);

}  // namespace sluice::handlers
