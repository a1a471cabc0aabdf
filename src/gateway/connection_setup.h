// What becomes of a connection between being accepted and HTTP: with TLS its handshake, in a coroutine of its
// own that is gone when the connection is served. In the clear there is nothing to set up.
#pragma once

#include <memory>
#include <string>

#include "gateway/log_bound.h"
#include "gateway/snapshot.h"
#include "http/connection.h"
#include "http/plain_acceptor.h"
#include "http/server.h"
#include "io/accept_loop.h"
#include "io/loop.h"
#include "io/scope.h"
#include "telemetry/families.h"
#include "tls/server_context.h"

namespace sluice::gateway {

/// One for each listener of a worker. All that it names must outlive it and what it has accepted.
class ConnectionSetup final : public io::Acceptor {
 public:
  struct Owner {
    io::Loop& loop;
    http::RequestHandler& handler;
    http::Connections& connections;
    io::TaskScope& scope;
    telemetry::WorkerMetrics& metrics;
  };
  ConnectionSetup(const Owner& owner, const ListenerSettings& settings, const telemetry::TlsMetrics& metrics);

  /// For connections that come from now on; null: in the clear.
  void set_tls(std::shared_ptr<const tls::ServerContext> context) { tls_ = std::move(context); }

  bool admit(const io::Address& peer) override { return plain_.admit(peer); }
  void accepted(std::unique_ptr<io::Stream> stream) override;
  void shed() override { plain_.shed(); }

 private:
  class Pending;
  io::Task<> set_up(std::unique_ptr<io::Stream> below, std::shared_ptr<const tls::ServerContext> context);
  void report(const tls::HandshakeError& error, const io::Address& peer, const std::string& server_name);

  Owner owner_;
  http::PlainAcceptor plain_;
  const std::string listener_;
  uint16_t number_;
  telemetry::TlsMetrics tls_metrics_;
  std::shared_ptr<const tls::ServerContext> tls_;
  LogBound log_bound_;
};

}  // namespace sluice::gateway
