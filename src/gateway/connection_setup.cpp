#include "gateway/connection_setup.h"

#include <fmt/format.h>

#include "http/h1/server_connection.h"
#include "io/sleep.h"
#include "telemetry/process_log.h"

namespace sluice::gateway {

/// A connection while it is set up: counted and in its owner's list like one that is served, so that a drain
/// ends it. Nothing was asked yet that would have to be answered.
class ConnectionSetup::Pending final : public http::Connection {
 public:
  explicit Pending(ConnectionSetup& setup) : setup_(setup) {
    setup_.owner_.connections.push_back(*this);
    setup_.owner_.handler.count_connections(setup_.number_, 1, 0);
  }
  ~Pending() { setup_.owner_.handler.count_connections(setup_.number_, -1, 0); }

  void drain() override { token.cancel(io::CancelReason::kDrain); }
  void cancel(io::CancelReason reason) override { token.cancel(reason); }

  io::CancelToken token;

 private:
  ConnectionSetup& setup_;
};

ConnectionSetup::ConnectionSetup(const Owner& owner, const ListenerSettings& settings,
                                 const telemetry::TlsMetrics& metrics)
    : owner_(owner),
      plain_(owner.loop, owner.handler, settings.number, owner.connections, owner.scope),
      listener_(settings.name),
      number_(settings.number),
      tls_metrics_(metrics),
      tls_(settings.tls) {}

void ConnectionSetup::accepted(std::unique_ptr<io::Stream> stream) {
  if (!tls_) return plain_.accepted(std::move(stream));
  auto context = tls_;
  owner_.scope.spawn(set_up(std::move(stream), std::move(context)));
}

io::Task<> ConnectionSetup::set_up(std::unique_ptr<io::Stream> below,
                                   std::shared_ptr<const tls::ServerContext> context) {
  std::unique_ptr<tls::TlsStream> stream;
  {
    Pending pending(*this);
    io::Deadline deadline(owner_.loop, owner_.loop.now() + owner_.handler.timeouts().header, pending.token);
    stream = context->accept(owner_.loop, std::move(below));
    stream->bind(pending.token);
    auto outcome = co_await stream->handshake();
    stream->unbind();
    if (!outcome) {
      // A drain is no fault of the client's.
      if (pending.token.reason() != io::CancelReason::kDrain)
        report(outcome.error(), stream->peer(), stream->security()->server_name);
      owner_.handler.release(stream->peer());
      co_return;
    }
  }
  using telemetry::Handshake;
  bool resumed = stream->security()->resumed;
  owner_.metrics.add(tls_metrics_.handshakes[resumed ? Handshake::kResumed : Handshake::kFull]);
  plain_.accepted(std::move(stream));
}

void ConnectionSetup::report(const tls::HandshakeError& error, const io::Address& peer,
                             const std::string& server_name) {
  owner_.metrics.add(tls_metrics_.failures[error.failure]);
  // Somebody who only looks whether the port is open is no news.
  if (error.failure == tls::HandshakeFailure::kClosed && server_name.empty()) return;
  uint64_t suppressed = 0;
  if (!log_bound_.allows(owner_.loop.now(), suppressed)) return;
  std::string more = suppressed ? fmt::format("; {} more like it were not logged", suppressed) : std::string();
  std::string name = server_name.empty() ? std::string() : fmt::format(" for {}", server_name);
  telemetry::log::warning("listener {}: TLS handshake with {}{} failed: {} ({}){}", listener_, peer.ip_text(),
                          name, tls::handshake_failure_text(error.failure), error.detail, more);
}

}  // namespace sluice::gateway
