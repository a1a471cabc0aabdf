// What becomes known of a listener's TLS handshakes: metrics, and a bounded number of lines in the log.
#pragma once

#include <string>

#include "gateway/log_bound.h"
#include "io/address.h"
#include "telemetry/families.h"
#include "tls/connection_security.h"
#include "tls/handshake_error.h"

namespace sluice::gateway {

/// One for each listener of a worker; outlives the connections that are being set up.
class HandshakeReport {
 public:
  HandshakeReport(telemetry::WorkerMetrics& metrics, const telemetry::TlsMetrics& counters,
                  std::string listener)
      : metrics_(metrics), counters_(counters), listener_(std::move(listener)) {}

  void succeeded(const tls::ConnectionSecurity& security);
  /// `server_name`: what the client asked for; may be empty.
  void failed(const tls::HandshakeError& error, const io::Address& peer, const std::string& server_name,
              Instant now);

 private:
  telemetry::WorkerMetrics& metrics_;
  telemetry::TlsMetrics counters_;
  const std::string listener_;
  LogBound log_bound_;
};

}  // namespace sluice::gateway
