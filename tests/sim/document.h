// The configuration that a run serves: one document whose numbers are drawn, in an even and an odd form that
// reloads go back and forth between.
#pragma once

#include <string>
#include <vector>

#include "base/random.h"
#include "base/time.h"
#include "io/address.h"

namespace sluice::sim {

/// Where everything is.
inline constexpr std::string_view kGatewayIp = "10.9.0.1";
inline constexpr uint16_t kPort = 80;
inline constexpr uint16_t kExtraPort = 81;  // listened on by odd revisions only
inline constexpr uint16_t kSidePort = 82;
inline constexpr uint16_t kSecurePort = 443;  // as kPort, over TLS
inline constexpr uint16_t kStatusPort = 8081;
/// More than clients ever have, so that they are never refused for their number.
inline constexpr size_t kMostOfAddress = 20;
inline constexpr size_t kMostConnections = 60;
inline constexpr std::string_view kTrustedNetwork = "10.1.0.0/16";
/// Where clients come from; the first is a trusted proxy.
inline constexpr std::string_view kClientIps[] = {"10.1.0.5", "192.0.2.7", "192.0.2.8"};

struct Backend {
  std::string upstream;
  std::string ip;
  uint16_t port;
  std::string base_path;
  uint32_t weight = 1;
  bool even_only = false;
  int generation = -1;  // 0, 1: of even and of odd generations only
  bool tls = false;
};

struct Rate {
  uint64_t count = 1;
  Duration period{};
  uint64_t burst = 1;
};

struct Document {
  static Document draw(Random& random);
  /// From now on with TLS.
  void take_tls();
  /// `generation` changes little: all of the other text stays.
  std::string text(uint64_t revision, uint64_t generation) const;
  /// One that no gateway may take.
  static std::string invalid();

  std::vector<Backend> backends;
  uint32_t attempts = 2;
  bool retry_reset = true;
  bool retry_timeout = false;
  bool retry_503 = false;
  bool hides_key = true;
  bool access_log = true;
  bool tls = false;  // there is a listener with TLS, and some upstreams have it
  Rate consumer_rate, address_rate, tenant_rate;
  uint64_t request_body = 256 * 1024;

  // Timeouts; all short, so that a run is.
  Duration header = std::chrono::seconds(5);
  Duration body_progress = std::chrono::seconds(5);
  Duration keep_alive = std::chrono::seconds(20);
  Duration stream_idle = std::chrono::seconds(30);
  Duration connect = std::chrono::seconds(1);
  Duration response_head = std::chrono::seconds(5);
  Duration idle = std::chrono::seconds(15);
  Duration drain = std::chrono::seconds(60);
  Duration slow_total = std::chrono::seconds(2);

  /// Longer than any wait can be that is under all of these.
  Duration longest_wait() const;

 private:
  static std::string rate_text(const Rate& rate);
  static std::string routing_apis();
  std::string policy_apis() const;
  static std::string place(std::string_view name, std::string_view rate);
  static std::string shifting_apis(uint64_t generation);
};

}  // namespace sluice::sim
