// A proxied WebSocket, from its handshake to its end.
#pragma once

#include "gateway/exchange.h"
#include "gateway/tunnel.h"
#include "gateway/upstream.h"
#include "http/client.h"
#include "http/websocket/relay.h"

namespace sluice::handlers {

/// What it takes of its upstream as long as it lives.
class WebSocketPlace {
 public:
  WebSocketPlace(std::shared_ptr<const gateway::Upstream> upstream, gateway::UpstreamPlace place,
                 std::shared_ptr<gateway::TargetIdentity> counted)
      : upstream_(std::move(upstream)), place_(std::move(place)), counted_(std::move(counted)) {}
  WebSocketPlace(WebSocketPlace&&) = default;
  ~WebSocketPlace() {
    if (counted_) counted_->load.leave();
  }

 private:
  std::shared_ptr<const gateway::Upstream> upstream_;
  gateway::UpstreamPlace place_;
  std::shared_ptr<gateway::TargetIdentity> counted_;  // null: it is not among the target's requests
};

class WebSocketTunnel final : public gateway::Tunnel {
 public:
  /// What the policies of the exchange demand is copied.
  WebSocketTunnel(gateway::Exchange& exchange, io::Stream& client, http::ClientTunnel& upstream,
                  WebSocketPlace place);
  io::Task<> run() override;
  void drain() override { relay_.drain(); }

 private:
  WebSocketPlace place_;
  http::ClientTunnel& upstream_;
  http::websocket::Relay relay_;
  telemetry::WorkerMetrics& metrics_;
  telemetry::Counter limited_;
};

/// Null: the request may go on to become a WebSocket, and has a key; else what stands against it.
const http::Error* check_upgrade(gateway::Exchange& exchange);
void refuse_upgrade(gateway::Exchange& exchange, const http::Error& error);

}  // namespace sluice::handlers
