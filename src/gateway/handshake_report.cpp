#include "gateway/handshake_report.h"

#include <fmt/format.h>

#include "telemetry/process_log.h"

namespace sluice::gateway {

void HandshakeReport::succeeded(const tls::ConnectionSecurity& security) {
  using telemetry::Handshake;
  metrics_.add(counters_.handshakes[security.resumed ? Handshake::kResumed : Handshake::kFull]);
}

void HandshakeReport::failed(const tls::HandshakeError& error, const io::Address& peer,
                             const std::string& server_name, Instant now) {
  metrics_.add(counters_.failures[error.failure]);
  // Somebody who only looks whether the port is open is no news.
  if (error.failure == tls::HandshakeFailure::kClosed && server_name.empty()) return;
  uint64_t suppressed = 0;
  if (!log_bound_.allows(now, suppressed)) return;
  std::string more =
      suppressed ? fmt::format("; {} more like it were not logged", suppressed) : std::string();
  std::string name = server_name.empty() ? std::string() : fmt::format(" for {}", server_name);
  telemetry::log::warning("listener {}: TLS handshake with {}{} failed: {} ({}){}", listener_, peer.ip_text(),
                          name, tls::handshake_failure_text(error.failure), error.detail, more);
}

}  // namespace sluice::gateway
