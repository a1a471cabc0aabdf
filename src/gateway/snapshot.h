// Snapshot: a configuration, compiled and immutable. A root over nodes that successive configurations share.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "config/document.h"
#include "gateway/connection_limits.h"
#include "gateway/plan.h"
#include "gateway/router/root_router.h"
#include "gateway/stream/stream_plan.h"
#include "http/limits.h"
#include "http/serve.h"
#include "http/server.h"
#include "io/address.h"
#include "tls/server_context.h"

namespace sluice::gateway {

/// What a part of the configuration was compiled from, as a hash of it and of all it depends on: equal
/// digests mean that the compiled part can be used again.
struct ContentDigest {
  uint64_t low = 0;
  uint64_t high = 0;
  friend bool operator==(const ContentDigest&, const ContentDigest&) = default;
  struct Hash {
    size_t operator()(const ContentDigest& digest) const { return digest.low; }
  };
};

/// One API.
struct ApiNode {
  ContentDigest digest;
  ApiEntry entry;  // its matching half
  config::RepeatedSlash repeated_slash = config::RepeatedSlash::kMerge;
  config::EncodedSlash encoded_slash = config::EncodedSlash::kKeep;
  std::shared_ptr<const RoutePlan> unmatched;            // for requests that none of its routes takes
  std::vector<std::shared_ptr<const RoutePlan>> routes;  // by the router's numbers
  std::vector<ContentDigest> route_digests;              // likewise
};

struct ListenerSettings {
  std::string name;
  uint16_t number = 0;  // the same for the process's life
  io::Address address;
  config::ListenerProtocol protocol = config::ListenerProtocol::kTcp;
  config::ListenerProxyProtocol proxy_protocol = config::ListenerProxyProtocol::kOff;
  uint32_t waiting_bytes = 0;                   // of datagrams, in the kernel; 0: as the system has it
  std::shared_ptr<const StreamRoutes> streams;  // null: HTTP alone
  bool http2 = true;
  std::shared_ptr<const tls::ServerContext> tls;  // null: HTTP in the clear
  bool self_signed = false;                       // what it shows is ours alone
  /// Requests are sent to `https` on this port; 0: they are served.
  uint16_t redirect_port = 0;

  http::Codec codec() const { return http2 ? http::Codec::kEither : http::Codec::kHttp1; }
};

/// For what is done about certificates beside showing them.
struct KnownCertificate {
  std::shared_ptr<const tls::Certificate> certificate;
  bool fetch_ocsp = false;
};

/// A certificate that a CA is asked for.
struct AcmeCertificate {
  std::string name;
  config::Acme settings;
  std::string folder;                              // of accounts and certificates
  std::string path;                                // where it is kept
  std::shared_ptr<const tls::Certificate> loaded;  // null: there is none yet
  std::shared_ptr<const tls::TrustStore> trust;    // of the directory; null: the system's
};

struct Snapshot {
  uint64_t revision = 0;
  std::shared_ptr<const RootRouter> router;
  std::vector<std::shared_ptr<const ApiNode>> apis;  // by the router's numbers
  std::shared_ptr<const RoutePlan> unmatched;        // for requests that no API owns
  http::Limits limits;
  ConnectionBounds connections;
  Duration queue_delay{};  // 0: nothing is shed
  http::ServerTimeouts timeouts;
  Duration stream_idle = std::chrono::minutes(5);
  std::vector<config::IpPrefix> trusted_proxies;
  std::vector<ListenerSettings> listeners;
  std::vector<std::shared_ptr<const Upstream>> upstreams;  // all that the document names
  bool redirects = false;                                  // one of `listeners` does
  std::vector<KnownCertificate> certificates;
  std::vector<AcmeCertificate> acme;
  std::shared_ptr<tls::TicketKeys> ticket_keys;  // of listeners with TLS that name none; null: there is none

  /// Whether an address is one of `trusted_proxies`.
  bool trusts(const io::Address& address) const;

  /// Every plan of it.
  template <class Visit>
  void for_each_plan(Visit visit) const {
    visit(unmatched);
    for (const auto& api : apis) {
      visit(api->unmatched);
      for (const auto& plan : api->routes) visit(plan);
    }
  }
};

/// A new snapshot and the plans of the one before that are not in it any more.
struct SnapshotChange {
  std::shared_ptr<const Snapshot> next;
  std::vector<std::shared_ptr<const RoutePlan>> retired;
};

}  // namespace sluice::gateway
