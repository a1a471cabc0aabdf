// The configuration document as plain structs: the shape and the names of the contract, section 2. What came
// out of the loader is complete and consistent: names exist, `use` is expanded, every route has exactly one
// action.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "config/balancing.h"
#include "config/limits.h"
#include "config/policy_entry.h"
#include "config/redis.h"
#include "config/struct_type.h"
#include "config/types.h"
#include "config/values.h"

namespace sluice::tls {
class Certificate;
class TrustStore;
}  // namespace sluice::tls

namespace sluice::config {

// --- gateway: what belongs to the process ---

enum class TlsProfile : uint8_t { kIntermediate, kModern };
enum class TlsVersion : uint8_t { kTls12, kTls13 };
enum class ClientCertificateMode : uint8_t { kOff, kOptional, kRequired };

/// Who has to show a certificate.
struct ClientCertificates {
  std::vector<std::string> hosts;  // lower case; "*.suffix" for any depth below; empty: all
  ClientCertificateMode mode = ClientCertificateMode::kRequired;
  std::string ca;  // of `trust`
  uint32_t depth = 4;
  Origin origin;
  static const Struct<ClientCertificates>& schema();
};

struct ListenerTls {
  std::vector<std::string> certificates;  // empty: one that the gateway has signed itself
  std::vector<ClientCertificates> client_certificates;
  TlsProfile profile = TlsProfile::kIntermediate;
  std::vector<TlsVersion> versions;  // empty, like the next two: the profile's
  std::vector<std::string> ciphers;
  std::vector<std::string> groups;
  bool strict_sni = false;
  std::vector<std::string> ticket_keys;         // files, the newest first; empty: keys of our own
  std::vector<std::string> loaded_ticket_keys;  // their bytes
  Origin origin;
  static const Struct<ListenerTls>& schema();
};
enum class ListenerProtocol : uint8_t { kTcp, kUdp };
/// Whose connections begin with a header of the PROXY protocol.
enum class ListenerProxyProtocol : uint8_t { kOff, kTrusted, kRequired };

struct Listener {
  std::string name;
  Address address;
  std::optional<ListenerTls> tls = {};
  bool redirect_https = false;
  uint16_t https_port = 0;  // of the redirect; 0: that of the first listener with TLS
  ListenerProtocol protocol = ListenerProtocol::kTcp;
  ListenerProxyProtocol proxy_protocol = ListenerProxyProtocol::kOff;
  ByteSize waiting{};  // datagrams that wait in the kernel, of `protocol: udp`; 0: as the system has it
  bool http2 = true;
  Origin origin;
  static const Struct<Listener>& schema();
};

/// How many event loops.
struct Workers {
  uint32_t count = 0;  // 0: auto, one a core
};

enum class IoBackend : uint8_t { kAuto, kEpoll, kUring };
enum class AccessLogFormat : uint8_t { kJson, kText, kOff };
enum class ErrorFormat : uint8_t { kProblem };

struct Status {
  Address address{.host = "127.0.0.1", .port = 8081};
  static const Struct<Status>& schema();
};

struct GatewayLimits {
  ByteSize request_target = kibibytes(8);
  ByteSize request_head = kibibytes(32);
  uint32_t request_fields = 100;
  ByteSize request_body = mebibytes(16);
  ByteSize grpc_message{};                                // 0: none, and `request_body` bounds calls too
  uint32_t connections = 0;                               // 0: as many as descriptors allow
  uint32_t connections_per_address = 0;                   // 0: none
  Duration queue_delay = std::chrono::milliseconds(500);  // 0: none
  static const Struct<GatewayLimits>& schema();
};

struct GatewayTimeouts {
  Duration header = std::chrono::seconds(10);
  Duration body_progress = std::chrono::seconds(10);
  Duration keep_alive = std::chrono::seconds(75);
  Duration stream_idle = std::chrono::minutes(5);
  Duration total{0};  // 0: none
  static const Struct<GatewayTimeouts>& schema();
};

struct Drain {
  Duration delay{0};
  Duration timeout = std::chrono::seconds(30);
  static const Struct<Drain>& schema();
};

struct AccessLog {
  AccessLogFormat format = AccessLogFormat::kJson;
  std::string path = "stdout";  // stdout | stderr | a file, relative to the working directory
  static const Struct<AccessLog>& schema();
};

struct Errors {
  ErrorFormat format = ErrorFormat::kProblem;
  static const Struct<Errors>& schema();
};

struct Metrics {
  bool per_route = false;
  static const Struct<Metrics>& schema();
};

struct Dns {
  std::vector<Address> servers;  // empty: the system's
  friend bool operator==(const Dns&, const Dns&) = default;
  static const Struct<Dns>& schema();
};

struct Gateway {
  std::vector<Listener> listen{
      {.name = "default", .address = {.host = "0.0.0.0", .port = 8080}, .origin = {}}};
  Workers workers;
  IoBackend io = IoBackend::kAuto;
  std::string state = "./sluice-state";  // a folder, relative to the working directory
  Status status;
  std::vector<IpPrefix> trusted_proxies;
  std::string zone;  // where this gateway stands; empty: zones are not told apart
  std::string node;  // this gateway's name; empty: the host's
  Dns dns;
  GatewayLimits limits;
  GatewayTimeouts timeouts;
  Drain drain;
  AccessLog access_log;
  Errors errors;
  Metrics metrics;
  Origin origin;  // unknown when the document has no `gateway`
  static const Struct<Gateway>& schema();
};

// --- what may stand on an API and on a route too; what is absent comes from the level outside ---

struct InnerTimeouts {
  std::optional<Duration> total;
  static const Struct<InnerTimeouts>& schema();
};
struct InnerLimits {
  std::optional<ByteSize> request_body;
  std::optional<ByteSize> grpc_message;
  static const Struct<InnerLimits>& schema();
};
struct InnerAccessLog {
  std::optional<AccessLogFormat> format;
  static const Struct<InnerAccessLog>& schema();
};

// --- certificates and whom to trust ---

enum class AcmeChallenge : uint8_t { kHttp01, kTlsAlpn01 };

/// A certificate that a CA gives by itself (RFC 8555).
struct Acme {
  std::string directory = "https://acme-v02.api.letsencrypt.org/directory";
  std::string email;                 // empty: the CA is told none
  std::vector<std::string> domains;  // lower case
  AcmeChallenge challenge = AcmeChallenge::kHttp01;
  std::string ca;  // of `trust`, for the directory; empty: the system's
  Duration renew_before = std::chrono::days(30);
  Origin origin;
  /// But for where it stands.
  friend bool operator==(const Acme& a, const Acme& b) {
    return a.directory == b.directory && a.email == b.email && a.domains == b.domains &&
           a.challenge == b.challenge && a.ca == b.ca && a.renew_before == b.renew_before;
  }
  static const Struct<Acme>& schema();
};

/// Paths are relative to the document's folder until it is loaded.
struct Certificate {
  std::string cert;  // of `acme` where it is kept, once it is loaded
  std::string key;
  std::string ocsp;  // empty: no file
  bool fetch_ocsp = false;
  std::optional<Acme> acme;
  Origin origin;
  std::shared_ptr<const tls::Certificate> loaded;  // of `acme` null until there is one
  static const Struct<Certificate>& schema();
};

struct Trust {
  std::string ca;
  std::string crl;  // empty: nothing is looked up
  Origin origin;
  std::shared_ptr<const tls::TrustStore> loaded;
  static const Struct<Trust>& schema();
};

// --- upstreams ---

struct UpstreamTls {
  std::string ca;  // of `trust`; empty: the system's
  bool verify = true;
  std::string sni;          // empty: the target's host
  std::string certificate;  // what we show; empty: none
  Origin origin;
  static const Struct<UpstreamTls>& schema();
};

enum class UpstreamProtocol : uint8_t { kAuto, kH1, kH2, kH2c };
/// The header that connections to an upstream begin with.
enum class UpstreamProxyProtocol : uint8_t { kOff, kV1, kV2 };

struct Target {
  TargetUrl url;
  uint32_t weight = 1;    // 0: takes no requests
  uint32_t priority = 0;  // the lowest is used first
  std::string zone;
  Origin origin;
  static const Struct<Target>& schema();
};

/// Which `Host` an upstream gets.
struct UpstreamHost {
  enum class Kind : uint8_t { kReceived, kTarget, kLiteral };
  Kind kind = Kind::kReceived;
  std::string literal;
  friend bool operator==(const UpstreamHost&, const UpstreamHost&) = default;
};

struct UpstreamTimeouts {
  Duration connect = std::chrono::seconds(1);
  Duration response_head = std::chrono::seconds(10);
  Duration idle = std::chrono::seconds(60);
  static const Struct<UpstreamTimeouts>& schema();
};

struct Upstream {
  std::vector<Target> targets;
  Balance balance;
  UpstreamProtocol protocol = UpstreamProtocol::kAuto;
  UpstreamHost host;
  UpstreamTls tls;
  UpstreamProxyProtocol proxy_protocol = UpstreamProxyProtocol::kOff;
  UpstreamTimeouts timeouts;
  Retry retry;
  std::optional<Hedge> hedge;
  Health health;
  CircuitBreaker circuit_breaker;
  std::optional<AdaptiveConcurrency> adaptive_concurrency;
  Duration slow_start{0};
  Origin origin;
  static const Struct<Upstream>& schema();
};

// --- stores that several gateways share ---

struct RedisSentinel {
  std::string master;  // as the sentinels name it
  std::vector<RedisAddress> addresses;
  std::string user;  // of the sentinels themselves; empty: `default`
  std::string password;
  std::optional<UpstreamTls> tls;  // absent: in the clear
  Origin origin;
  static const Struct<RedisSentinel>& schema();
};

struct RedisCluster {
  std::vector<RedisAddress> addresses;  // of some of its nodes
  Origin origin;
  static const Struct<RedisCluster>& schema();
};

struct RedisStore {
  std::optional<RedisUrl> url;  // one of these three
  std::optional<RedisSentinel> sentinel;
  std::optional<RedisCluster> cluster;
  std::string user;  // not beside `url`, which has these three itself
  std::string password;
  uint32_t database = 0;
  std::optional<UpstreamTls> tls;
  Duration timeout = std::chrono::milliseconds(5);
  Duration connect_timeout = std::chrono::seconds(1);
  Origin origin;
  static const Struct<RedisStore>& schema();
};

// --- streams: TCP, TLS and UDP that is not HTTP ---

enum class StreamTls : uint8_t { kPassthrough, kTerminate };

struct StreamTimeouts {
  std::optional<Duration> idle;  // absent: an hour; of UDP a minute
  static const Struct<StreamTimeouts>& schema();
};

struct StreamLimits {
  uint32_t connections = 0;    // 0: as many as the gateway has
  uint32_t sessions = 10'000;  // of UDP
  uint32_t datagram = 65'535;  // bytes
  uint32_t responses = 0;      // datagrams from the target that end a session; 0: none do
  static const Struct<StreamLimits>& schema();
};

struct Stream {
  std::string listener;
  std::vector<std::string> sni;  // lower case; "*.suffix" for any depth below; empty: the whole listener
  std::optional<StreamTls> tls;
  std::string upstream;
  StreamTimeouts timeouts;
  StreamLimits limits;
  InnerAccessLog access_log;
  Origin origin;
  static const Struct<Stream>& schema();
};

// --- APIs and routes ---

struct SplitPart {
  std::string upstream;
  uint32_t weight = 1;
  Origin origin;
  static const Struct<SplitPart>& schema();
};

/// A value of JSON, as a body condition compares it: a quoted `5` is a string, a plain one a number.
struct MatchValue {
  ScalarKind kind = ScalarKind::kString;
  std::string text;
  friend bool operator==(const MatchValue&, const MatchValue&) = default;
};

/// A share of the requests goes to another upstream as well, whose answers nobody sees.
struct Mirror {
  std::string upstream;
  Percent percent{1};
  ByteSize max_body = kibibytes(64);
  Origin origin;
  static const Struct<Mirror>& schema();
};

struct RouteMatch {
  Map<std::string> headers;
  Map<std::string> query;
  Map<MatchValue> body;  // by path: "$.a.b[0]"
  static const Struct<RouteMatch>& schema();
  bool empty() const { return headers.empty() && query.empty() && body.empty(); }
};

struct Respond {
  uint16_t status = 200;
  Map<std::string> headers;
  std::string body;
  Origin origin;
  static const Struct<Respond>& schema();
};

struct Redirect {
  std::string to;  // may name the path's parameters: "/new/{rest}"
  uint16_t status = 302;
  Origin origin;
  static const Struct<Redirect>& schema();
};

struct Route {
  std::string name;
  std::vector<std::string> methods;  // empty: any
  std::optional<std::string> path;   // below the API's; absent: everything
  RouteMatch match;
  int32_t priority = 0;
  std::optional<std::string> upstream;  // absent, like `split`: the API's
  std::vector<SplitPart> split;
  std::optional<Shift> shift;
  std::vector<Mirror> mirror;
  std::optional<Respond> respond;
  std::optional<Redirect> redirect;
  PolicyList policies;
  InnerTimeouts timeouts;
  InnerLimits limits;
  InnerAccessLog access_log;
  Origin origin;
  static const Struct<Route>& schema();
};

enum class RepeatedSlash : uint8_t { kMerge, kKeep, kReject };
enum class EncodedSlash : uint8_t { kKeep, kReject };

struct Api {
  std::string version;
  std::vector<std::string> listeners;  // empty: all
  std::vector<std::string> hosts;      // lower case; "*.suffix" for any depth below; empty: any
  std::string path = "/";              // a prefix of whole segments
  bool strip_path = false;
  std::optional<std::string> upstream;
  std::vector<SplitPart> split;
  std::optional<Shift> shift;
  std::vector<Mirror> mirror;
  InnerTimeouts timeouts;
  InnerLimits limits;
  InnerAccessLog access_log;
  RepeatedSlash repeated_slash = RepeatedSlash::kMerge;
  EncodedSlash encoded_slash = EncodedSlash::kKeep;
  PolicyList policies;
  std::vector<Route> routes;  // empty: every method and subpath is proxied
  Origin origin;
  static const Struct<Api>& schema();
};

// --- consumers ---

struct Credential {
  std::optional<std::string> api_key;
  Origin origin;
  static const Struct<Credential>& schema();
};

/// A consumer's right to an API, under a plan.
struct Subscription {
  std::string api;
  std::string plan;
  Origin origin;
  static const Struct<Subscription>& schema();
};

struct Consumer {
  std::vector<std::string> groups;
  std::vector<std::string> roles;
  std::vector<Credential> credentials;
  std::vector<Subscription> subscriptions;  // at most one of an API
  Origin origin;
  static const Struct<Consumer>& schema();
};

// --- the whole ---

struct Document {
  uint32_t version = 1;
  std::vector<std::string> include;
  Gateway gateway;
  Map<Trust> trust;
  Map<Certificate> certificates;
  Map<Upstream> upstreams;
  Map<Stream> streams;
  Map<PolicyList> chains;
  PolicyList policies;
  Map<Api> apis;
  Map<Plan> plans;
  Map<RedisStore> redis;
  Map<Consumer> consumers;

  WallTime loaded_at{};                 // filled in by the loader, as the next one
  std::vector<std::string> file_names;  // by `Origin::file`; filled in by the loader
  /// "file:line:column" of an entity, for messages after loading.
  std::string describe(const Origin& origin) const;
  static const Struct<Document>& schema();
};

/// What holds for one route once gateway, API and route are laid over each other; the inner one wins.
struct EffectiveSettings {
  Duration total{0};  // 0: none
  ByteSize request_body;
  ByteSize grpc_message;  // 0: none
  AccessLogFormat access_log = AccessLogFormat::kJson;
};
/// `route` is nullptr for an API without routes.
EffectiveSettings effective_settings(const Gateway& gateway, const Api* api, const Route* route);

}  // namespace sluice::config
