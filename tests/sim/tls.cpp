// RAND_METHOD is the only way to replace OpenSSL's generator in a whole process.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "tls.h"

#include <openssl/rand.h>

#include <cstring>
#include <stdexcept>

#include "base/random.h"

namespace sluice::sim {

namespace {

Random random_bytes(0);

int give_bytes(unsigned char* into, int count) {
  for (int at = 0; at < count; at += 8) {
    uint64_t value = random_bytes.next();
    std::memcpy(into + at, &value, static_cast<size_t>(std::min(8, count - at)));
  }
  return 1;
}

int is_seeded() { return 1; }

template <class T>
T checked(T made) {
  if (!made) throw std::runtime_error("simulation: the certificate cannot be used");
  return made;
}

SimTls make() {
  seed_openssl(0);
  SimTls sim;
  sim.certificate = tls::make_self_signed(
      {std::string(kGatewayName), std::string(kUpstreamName), std::string(kBackendName)}, WallTime(),
      std::chrono::hours(24 * 365 * 100));
  auto trust = tls::TrustStore::make(sim.certificate.chain, "");
  auto certificate = tls::Certificate::load("sim", sim.certificate);
  sim.client = *checked(tls::ClientContext::make({.trust = *checked(trust)}));
  sim.server = *checked(tls::ServerContext::make({.certificates = {*checked(certificate)},
                                                  .protocols = {"http/1.1"},
                                                  .ticket_keys = std::make_shared<const tls::TicketKeys>()}));
  return sim;
}

}  // namespace

const SimTls& SimTls::get() {
  static const SimTls made = make();
  return made;
}

void seed_openssl(uint64_t seed) {
  static const RAND_METHOD method{.seed = nullptr,
                                  .bytes = give_bytes,
                                  .cleanup = nullptr,
                                  .add = nullptr,
                                  .pseudorand = give_bytes,
                                  .status = is_seeded};
  RAND_set_rand_method(&method);
  random_bytes = Random(seed);
}

config::Environment tls_environment() {
  config::Environment environment = config::Environment::empty();
  environment.read_file = [](const std::string& path, size_t) -> std::expected<std::string, std::string> {
    const tls::CertificateText& text = SimTls::get().certificate;
    if (path.ends_with("sim.crt")) return text.chain;
    if (path.ends_with("sim.key")) return text.key;
    return std::unexpected("there is no such file");
  };
  return environment;
}

}  // namespace sluice::sim
