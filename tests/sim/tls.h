// TLS in simulated worlds: one certificate for everybody, made once, and OpenSSL's randomness out of the
// seed.
#pragma once

#include <memory>
#include <string>

#include "config/loader.h"
#include "tls/client_context.h"
#include "tls/server_context.h"

namespace sluice::sim {

/// The names that the certificate is for.
inline constexpr std::string_view kGatewayName = "gateway.sim";
inline constexpr std::string_view kUpstreamName = "upstream.sim";
inline constexpr std::string_view kBackendName = "backend.sim";

/// The same in every process.
struct SimTls {
  /// Made when it is first asked for, which must be outside of a run.
  static const SimTls& get();

  tls::CertificateText certificate;                  // signed by itself: it is its own CA
  std::shared_ptr<const tls::ClientContext> client;  // of clients: they verify
  std::shared_ptr<const tls::ServerContext> server;  // of upstreams
};

/// From now on OpenSSL's randomness follows from `seed`.
void seed_openssl(uint64_t seed);

/// Where the document's files are: `sim.crt` and `sim.key`.
config::Environment tls_environment();

}  // namespace sluice::sim
