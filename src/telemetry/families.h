// Every metric that Sluice shows, with its labels: the one place that names them (contract, section 3a).
#pragma once

#include <cstdint>
#include <string_view>

#include "http/grpc_status.h"
#include "telemetry/registry.h"
#include "tls/handshake_error.h"

namespace sluice::telemetry {

enum class CodeClass : uint8_t { k1xx, k2xx, k3xx, k4xx, k5xx };
/// 499 (the client left) is a 4xx; what is no status counts as 5xx.
constexpr CodeClass code_class(uint16_t status) {
  return status >= 100 && status < 500 ? static_cast<CodeClass>(status / 100 - 1) : CodeClass::k5xx;
}

/// Parts of an exchange's time: all of it, waiting for upstream, and the rest.
enum class Phase : uint8_t { kTotal, kUpstream, kGateway };
/// A client's connection: between exchanges, or in one.
enum class ConnectionState : uint8_t { kIdle, kActive };
/// A connection to a target: being made, in a pool, or carrying an exchange.
enum class PoolState : uint8_t { kConnecting, kIdle, kActive };
/// How one try at an upstream ended: with a status, or without an answer and why.
enum class UpstreamResult : uint8_t {
  k1xx,
  k2xx,
  k3xx,
  k4xx,
  k5xx,
  kConnectFailure,
  kReset,  // the connection ended before the answer was whole
  kTimeout,
  kProtocolError,  // what came was no valid answer
  kCancelled,      // by us: the client left, or the exchange was out of time
  kNoTarget,       // no healthy target, or a limit of the upstream allowed none
};
constexpr UpstreamResult upstream_result(uint16_t status) {
  return static_cast<UpstreamResult>(code_class(status));
}
/// Whose answer was taken when a request was hedged.
enum class HedgeResult : uint8_t { kWon, kLost };  // the second try
/// How a connection or session of a stream ended.
enum class StreamResult : uint8_t {
  kComplete,        // both sides had said all
  kConnectFailure,  // no target took it
  kNoTarget,
  kClientFailed,  // it broke the connection
  kServerFailed,
  kIdle,       // of UDP the rule
  kCancelled,  // by a drain
  kLimited,    // as it came, by a limit
};
enum class StreamDirection : uint8_t { kFromClient, kToClient };
enum class DatagramFate : uint8_t { kFromClient, kToClient, kDropped };
enum class RetryReason : uint8_t { kStaleConnection, kConnectFailure, kReset, kTimeout, kStatus };
enum class ReloadResult : uint8_t { kSuccess, kFailure };
/// A TLS handshake that went well: with all its parts, or of a session of before.
enum class Handshake : uint8_t { kFull, kResumed };

/// An attempt to get a certificate from a CA.
enum class AcmeResult : uint8_t { kSuccess, kFailure };

/// How a command to a store that gateways share has ended.
enum class StoreResult : uint8_t { kOk, kTimeout, kDisconnected, kError };
struct StoreMetrics {
  Group<Counter, StoreResult> requests;
  Counter errors;   // those of them that were not kOk
  Gauge connected;  // connections that can be used
};

/// What became of a copy of a request.
enum class MirrorResult : uint8_t { kAnswered, kFailed, kFull, kTooLarge, kIncomplete };

/// Of traffic that moves to another upstream.
struct ShiftMetrics {
  Gauge percent;  // of the requests that are there
  Counter rollbacks;
};

/// A transaction of what survives the process.
enum class StateWrite : uint8_t { kDone, kFailed };

/// What one listener's TLS handshakes count into.
struct TlsMetrics {
  Group<Counter, Handshake> handshakes;
  Group<Counter, tls::HandshakeFailure> failures;
};

/// What one route's exchanges count into.
struct RouteMetrics {
  Group<Counter, CodeClass> requests;
  Group<Histogram, Phase> seconds;
};
struct UpstreamMetrics {
  Group<Counter, UpstreamResult> requests;  // one a try
  Histogram seconds;                        // of a try, until the last byte of its answer
  Group<Gauge, PoolState> connections;
  Group<Counter, RetryReason> retries;
  Group<Counter, HedgeResult> hedges = {};  // of those that hedge
  Gauge concurrency_limit = {};             // of those that adapt
  Counter pool_full;  // a connection that could have been kept was closed, for so many were kept already
};

struct StreamMetrics {
  Group<Counter, StreamResult> sessions;
  Group<Counter, StreamDirection> bytes;
  Group<Counter, DatagramFate> datagrams;  // of UDP
};

/// What became of connections that left HTTP.
struct WebSocketMetrics {
  Gauge open;
  Counter received;  // bytes from clients, after the handshake
  Counter sent;      // likewise to clients
  Counter messages_received;
  Counter messages_sent;
};

/// Declares the families in the registry and resolves their series. Any thread; takes the registry's lock.
class Families {
 public:
  explicit Families(Registry& registry);

  /// `metrics.per_route`: routes are no longer folded into route="other" beyond 600 series.
  void set_per_route(bool on);

  /// For a request that matched nothing both are empty.
  RouteMetrics route(std::string_view api, std::string_view route);
  /// What calls of gRPC that a route has taken ended with; for routes that have seen one.
  Group<Counter, http::GrpcStatus> grpc(std::string_view api, std::string_view route);
  UpstreamMetrics upstream(std::string_view upstream);
  /// Of an upstream with `adaptive_concurrency`.
  Gauge concurrency_limit(std::string_view upstream);
  /// Of an upstream with `hedge`.
  Group<Counter, HedgeResult> hedges(std::string_view upstream);
  /// 1 or 0.
  Gauge target_healthy(std::string_view upstream, std::string_view target);
  /// Of targets, for how their answers were.
  Counter ejections(std::string_view upstream);
  StreamMetrics stream(std::string_view stream);
  Group<Gauge, ConnectionState> connections(std::string_view listener);
  TlsMetrics tls(std::string_view listener);
  /// Until a certificate of the configuration expires.
  Gauge certificate_expires(std::string_view name);
  /// Attempts to get this certificate from its CA.
  Group<Counter, AcmeResult> acme_orders(std::string_view name);
  /// Until the OCSP response that was fetched for one is out of date.
  Gauge ocsp_expires(std::string_view name);
  /// Exchanges that a policy `id` limited (429, 503).
  Counter limited(std::string_view policy);
  /// Exchanges that a policy `id` let wait.
  Counter waited(std::string_view policy);
  /// Refusals that a dry run did not enforce: `sluice_refused_total{code="dry_run"}`.
  Counter dry_run() { return {registry_.resolve(refused_, {"dry_run"})}; }
  StoreMetrics store(std::string_view store);
  /// `route` is empty for an API's.
  ShiftMetrics shift(std::string_view api, std::string_view route);
  /// Copies of requests for an upstream.
  Group<Counter, MirrorResult> mirrored(std::string_view upstream);
  /// For `add_source`.
  Group<Counter, StateWrite> state_writes() const { return state_writes_; }
  Group<Counter, ReloadResult> reloads() const { return reloads_; }
  Gauge config_revision() const { return config_revision_; }
  /// For each worker's AccessLog; what the sink lost itself comes by `add_source(log_dropped(), lost_lines)`.
  Counter log_dropped() const { return log_dropped_; }
  /// In parts per million of the time since the last look; shown as a ratio.
  Gauge worker_busy_ppm(uint32_t worker);
  /// Always 1; `io` is the back-end's name.
  Gauge build_info(std::string_view version, std::string_view io);
  Gauge io_backend(std::string_view backend, std::string_view reason);

  /// For a worker's tables: errors that the gateway answered by `code`, and limits (contract: "everything has
  /// one") hit.
  NamedCounters refused() { return {registry_, refused_}; }
  NamedCounters limit_hits() { return {registry_, limit_hits_}; }
  /// By how they ended.
  NamedCounters websockets_ended() { return {registry_, websockets_ended_}; }
  /// By the code of their close frame.
  NamedCounters websocket_closes() { return {registry_, websocket_closes_}; }
  WebSocketMetrics websockets() const { return websockets_; }

 private:
  Registry& registry_;
  Registry::FamilyId requests_, grpc_requests_, request_seconds_, refused_, connections_, upstream_requests_,
      upstream_seconds_, upstream_connections_, retries_, limited_, waited_, store_requests_,
      store_connected_, mirrored_, limit_hits_, websockets_ended_, websocket_closes_, busy_ratio_,
      build_info_, io_backend_, stream_sessions_, stream_bytes_, stream_datagrams_, tls_handshakes_,
      tls_failures_, certificate_expires_, ocsp_expires_, target_healthy_, ejections_, acme_orders_,
      concurrency_limit_, hedges_, shift_share_, shift_rollbacks_, store_errors_;
  WebSocketMetrics websockets_;
  Group<Counter, ReloadResult> reloads_;
  Gauge config_revision_;
  Group<Counter, StateWrite> state_writes_;
  Counter log_dropped_;
};

}  // namespace sluice::telemetry
