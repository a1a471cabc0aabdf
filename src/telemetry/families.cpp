#include "telemetry/families.h"

#include <fmt/format.h>

namespace sluice::telemetry {
namespace {

constexpr uint32_t kMaxSeries = 600;
constexpr uint32_t kMaxHistograms = 300;  // each is twenty lines
constexpr uint32_t kMaxSeriesPerRoute = Registry::kMaxGroups * 5;
constexpr uint32_t kMaxCallsPerRoute = Registry::kMaxGroups * http::kGrpcStatuses;

const std::vector<std::string_view> kCodeClasses = {"1xx", "2xx", "3xx", "4xx", "5xx"};
const std::vector<std::string_view> kPhases = {"total", "upstream", "gateway"};
const std::vector<std::string_view> kConnectionStates = {"idle", "active"};
const std::vector<std::string_view> kPoolStates = {"connecting", "idle", "active"};
const std::vector<std::string_view> kUpstreamResults = {
    "1xx",       "2xx",      "3xx", "4xx", "5xx", "connect_failure", "reset", "timeout", "protocol_error",
    "cancelled", "no_target"};
const std::vector<std::string_view> kRetryReasons = {"stale_connection", "connect_failure", "reset",
                                                     "timeout", "status"};
const std::vector<std::string_view> kStreamResults = {"complete",      "connect_failure", "no_target",
                                                      "client_failed", "server_failed",   "idle",
                                                      "cancelled",     "limited"};
const std::vector<std::string_view> kStreamDirections = {"from_client", "to_client"};
const std::vector<std::string_view> kDatagramFates = {"from_client", "to_client", "dropped"};
const std::vector<std::string_view> kDirections = {"received", "sent"};
const std::vector<std::string_view> kReloadResults = {"success", "failure"};
const std::vector<std::string_view> kAcmeResults = {"success", "failure"};
const std::vector<std::string_view> kMirrorResults = {"answered", "failed", "full", "too_large",
                                                      "incomplete"};
const std::vector<std::string_view> kStoreResults = {"ok", "timeout", "disconnected", "error"};
const std::vector<std::string_view> kHedgeResults = {"won", "lost"};
const std::vector<std::string_view> kStateWrites = {"done", "failed"};
const std::vector<std::string_view> kHandshakes = {"full", "resumed"};

std::vector<std::string_view> handshake_failures() {
  std::vector<std::string_view> texts;
  for (size_t i = 0; i < tls::kHandshakeFailures; ++i)
    texts.push_back(tls::handshake_failure_text(static_cast<tls::HandshakeFailure>(i)));
  return texts;
}

std::vector<std::string_view> grpc_statuses() {
  std::vector<std::string_view> texts;
  for (int i = 0; i < http::kGrpcStatuses; ++i)
    texts.push_back(http::grpc_status_code(static_cast<http::GrpcStatus>(i)));
  return texts;
}

}  // namespace

Families::Families(Registry& registry) : registry_(registry) {
  using enum MetricKind;
  requests_ = registry.add_family({.name = "sluice_requests_total",
                                   .help = "Requests answered, by the class of the status.",
                                   .kind = kCounter,
                                   .labels = {"api", "route"},
                                   .fixed_label = "code_class",
                                   .fixed_values = kCodeClasses,
                                   .max_series = kMaxSeries});
  grpc_requests_ = registry.add_family({.name = "sluice_grpc_requests_total",
                                        .help = "gRPC calls that have ended, by their status.",
                                        .kind = kCounter,
                                        .labels = {"api", "route"},
                                        .fixed_label = "grpc_status",
                                        .fixed_values = grpc_statuses(),
                                        .max_series = kMaxSeries});
  request_seconds_ =
      registry.add_family({.name = "sluice_request_seconds",
                           .help = "Time of requests, in all, waiting for upstream, and the rest.",
                           .kind = kHistogram,
                           .labels = {"api"},
                           .fixed_label = "phase",
                           .fixed_values = kPhases,
                           .max_series = kMaxHistograms});
  refused_ = registry.add_family(
      {.name = "sluice_refused_total",
       .help = "Requests that the gateway answered with an error, or whose answer it broke off, by code.",
       .kind = kCounter,
       .labels = {"code"}});
  connections_ = registry.add_family({.name = "sluice_connections",
                                      .help = "Open client connections.",
                                      .kind = kGauge,
                                      .labels = {"listener"},
                                      .fixed_label = "state",
                                      .fixed_values = kConnectionStates});
  upstream_requests_ = registry.add_family({.name = "sluice_upstream_requests_total",
                                            .help = "Tries at upstreams, by how they ended.",
                                            .kind = kCounter,
                                            .labels = {"upstream"},
                                            .fixed_label = "result",
                                            .fixed_values = kUpstreamResults});
  upstream_seconds_ = registry.add_family({.name = "sluice_upstream_seconds",
                                           .help = "Time of tries at upstreams.",
                                           .kind = kHistogram,
                                           .labels = {"upstream"},
                                           .max_series = kMaxHistograms});
  target_healthy_ = registry.add_family({.name = "sluice_target_healthy",
                                         .help = "Whether a target takes requests: 1, or 0.",
                                         .kind = kGauge,
                                         .labels = {"upstream", "target"},
                                         .max_series = 2000});
  ejections_ = registry.add_family({.name = "sluice_ejections_total",
                                    .help = "Targets taken out for a while for how their answers were.",
                                    .kind = kCounter,
                                    .labels = {"upstream"}});
  shift_share_ = registry.add_family({.name = "sluice_shift_ratio",
                                      .help = "Part of the requests that a shift has moved.",
                                      .kind = kGauge,
                                      .labels = {"api", "route"},
                                      .max_series = kMaxSeries,
                                      .unit = 1e-2});
  shift_rollbacks_ = registry.add_family({.name = "sluice_shift_rollbacks_total",
                                          .help = "Shifts that were given up.",
                                          .kind = kCounter,
                                          .labels = {"api", "route"},
                                          .max_series = kMaxSeries});
  hedges_ =
      registry.add_family({.name = "sluice_hedges_total",
                           .help = "Requests that a second target was asked beside the first, by whether "
                                   "it won.",
                           .kind = kCounter,
                           .labels = {"upstream"},
                           .fixed_label = "result",
                           .fixed_values = kHedgeResults});
  concurrency_limit_ = registry.add_family({.name = "sluice_upstream_concurrency_limit",
                                            .help = "Requests at once, as adaptive_concurrency found it out.",
                                            .kind = kGauge,
                                            .labels = {"upstream"}});
  upstream_connections_ = registry.add_family({.name = "sluice_upstream_connections",
                                               .help = "Connections to targets.",
                                               .kind = kGauge,
                                               .labels = {"upstream"},
                                               .fixed_label = "state",
                                               .fixed_values = kPoolStates});
  retries_ = registry.add_family({.name = "sluice_retries_total",
                                  .help = "Tries after the first, by why the one before failed.",
                                  .kind = kCounter,
                                  .labels = {"upstream"},
                                  .fixed_label = "reason",
                                  .fixed_values = kRetryReasons});
  mirrored_ = registry.add_family({.name = "sluice_mirrored_total",
                                   .help = "Copies of requests, by what became of them.",
                                   .kind = kCounter,
                                   .labels = {"upstream"},
                                   .fixed_label = "result",
                                   .fixed_values = kMirrorResults});
  store_requests_ = registry.add_family({.name = "sluice_store_requests_total",
                                         .help = "Commands to stores that several gateways share.",
                                         .kind = kCounter,
                                         .labels = {"store"},
                                         .fixed_label = "result",
                                         .fixed_values = kStoreResults});
  store_errors_ = registry.add_family({.name = "sluice_store_errors_total",
                                       .help = "Commands to stores that brought no good answer.",
                                       .kind = kCounter,
                                       .labels = {"store"}});
  store_connected_ = registry.add_family({.name = "sluice_store_connections",
                                          .help = "Connections to stores that can be used.",
                                          .kind = kGauge,
                                          .labels = {"store"}});
  waited_ = registry.add_family({.name = "sluice_waited_total",
                                 .help = "Requests that a policy let wait for their turn.",
                                 .kind = kCounter,
                                 .labels = {"policy"}});
  limited_ = registry.add_family({.name = "sluice_limited_total",
                                  .help = "Requests that a limiting policy refused.",
                                  .kind = kCounter,
                                  .labels = {"policy"}});
  limit_hits_ = registry.add_family({.name = "sluice_limit_hits_total",
                                     .help = "Times that one of the gateway's own limits was reached.",
                                     .kind = kCounter,
                                     .labels = {"limit"}});
  stream_sessions_ = registry.add_family({.name = "sluice_stream_sessions_total",
                                          .help = "Connections and UDP sessions of streams that have ended.",
                                          .kind = kCounter,
                                          .labels = {"stream"},
                                          .fixed_label = "result",
                                          .fixed_values = kStreamResults});
  stream_bytes_ = registry.add_family({.name = "sluice_stream_bytes_total",
                                       .help = "Bytes that streams have passed on.",
                                       .kind = kCounter,
                                       .labels = {"stream"},
                                       .fixed_label = "direction",
                                       .fixed_values = kStreamDirections});
  stream_datagrams_ = registry.add_family({.name = "sluice_stream_datagrams_total",
                                           .help = "Datagrams that UDP streams have passed on, or not.",
                                           .kind = kCounter,
                                           .labels = {"stream"},
                                           .fixed_label = "fate",
                                           .fixed_values = kDatagramFates});
  auto websockets =
      registry.add_family({.name = "sluice_websockets", .help = "WebSockets that are open.", .kind = kGauge});
  auto websocket_bytes = registry.add_family({.name = "sluice_websocket_bytes_total",
                                              .help = "Bytes of WebSockets that have ended.",
                                              .kind = kCounter,
                                              .fixed_label = "direction",
                                              .fixed_values = kDirections});
  websockets_ended_ = registry.add_family({.name = "sluice_websockets_ended_total",
                                           .help = "WebSockets that have ended, by what brought it about.",
                                           .kind = kCounter,
                                           .labels = {"how"}});
  auto websocket_messages = registry.add_family({.name = "sluice_websocket_messages_total",
                                                 .help = "Messages of WebSockets that have ended.",
                                                 .kind = kCounter,
                                                 .fixed_label = "direction",
                                                 .fixed_values = kDirections});
  websocket_closes_ =
      registry.add_family({.name = "sluice_websocket_closes_total",
                           .help = "WebSockets that have ended, by the code that was said first.",
                           .kind = kCounter,
                           .labels = {"code"}});
  auto reloads = registry.add_family({.name = "sluice_reloads_total",
                                      .help = "Reloads of the configuration.",
                                      .kind = kCounter,
                                      .fixed_label = "result",
                                      .fixed_values = kReloadResults});
  auto revision = registry.add_family(
      {.name = "sluice_config_revision", .help = "Revision of the active configuration.", .kind = kGauge});
  auto dropped =
      registry.add_family({.name = "sluice_log_dropped_total",
                           .help = "Access log lines lost because the destination was behind or failed.",
                           .kind = kCounter});
  busy_ratio_ = registry.add_family({.name = "sluice_worker_busy_ratio",
                                     .help = "Part of its time that a worker was not waiting.",
                                     .kind = kGauge,
                                     .labels = {"worker"},
                                     .max_series = 4096,
                                     .unit = 1e-6});
  build_info_ = registry.add_family({.name = "sluice_build_info",
                                     .help = "Always 1; the labels tell what runs.",
                                     .kind = kGauge,
                                     .labels = {"version", "io"}});
  io_backend_ = registry.add_family({.name = "sluice_io_backend",
                                     .help = "Always 1; the labels tell what workers do I/O with, and why.",
                                     .kind = kGauge,
                                     .labels = {"backend", "reason"}});
  tls_handshakes_ = registry.add_family({.name = "sluice_tls_handshakes_total",
                                         .help = "TLS handshakes with clients that went well.",
                                         .kind = kCounter,
                                         .labels = {"listener"},
                                         .fixed_label = "kind",
                                         .fixed_values = kHandshakes});
  tls_failures_ = registry.add_family({.name = "sluice_tls_handshake_failures_total",
                                       .help = "TLS handshakes with clients that failed, by why.",
                                       .kind = kCounter,
                                       .labels = {"listener"},
                                       .fixed_label = "reason",
                                       .fixed_values = handshake_failures()});
  certificate_expires_ = registry.add_family({.name = "sluice_certificate_expires_seconds",
                                              .help = "Until a certificate, or one of its chain, expires.",
                                              .kind = kGauge,
                                              .labels = {"name"}});
  acme_orders_ = registry.add_family({.name = "sluice_acme_orders_total",
                                      .help = "Attempts to get a certificate from its CA.",
                                      .kind = kCounter,
                                      .labels = {"name"},
                                      .fixed_label = "result",
                                      .fixed_values = kAcmeResults});
  ocsp_expires_ =
      registry.add_family({.name = "sluice_ocsp_expires_seconds",
                           .help = "Until a fetched OCSP response is out of date; 0: there is none.",
                           .kind = kGauge,
                           .labels = {"name"}});
  auto state_writes = registry.add_family(
      {.name = "sluice_state_writes_total",
       .help = "Transactions that make quotas durable; after a failure they are counted in "
               "memory alone.",
       .kind = kCounter,
       .fixed_label = "result",
       .fixed_values = kStateWrites});
  state_writes_ = {registry.resolve(state_writes, {})};
  reloads_ = {registry.resolve(reloads, {})};
  config_revision_ = {registry.resolve(revision, {})};
  uint32_t bytes = registry.resolve(websocket_bytes, {});
  uint32_t messages = registry.resolve(websocket_messages, {});
  websockets_ = {.open = {registry.resolve(websockets, {})},
                 .received = {bytes},
                 .sent = {bytes + 1},
                 .messages_received = {messages},
                 .messages_sent = {messages + 1}};
  log_dropped_ = {registry.resolve(dropped, {})};
}

void Families::set_per_route(bool on) {
  registry_.set_max_series(requests_, on ? kMaxSeriesPerRoute : kMaxSeries);
  registry_.set_max_series(grpc_requests_, on ? kMaxCallsPerRoute : kMaxSeries);
}

RouteMetrics Families::route(std::string_view api, std::string_view route) {
  return {.requests = {registry_.resolve(requests_, {api, route})},
          .seconds = {registry_.resolve(request_seconds_, {api})}};
}

Group<Counter, http::GrpcStatus> Families::grpc(std::string_view api, std::string_view route) {
  return {registry_.resolve(grpc_requests_, {api, route})};
}

Gauge Families::target_healthy(std::string_view upstream, std::string_view target) {
  return {registry_.resolve(target_healthy_, {upstream, target})};
}

ShiftMetrics Families::shift(std::string_view api, std::string_view route) {
  return {.percent = {registry_.resolve(shift_share_, {api, route})},
          .rollbacks = {registry_.resolve(shift_rollbacks_, {api, route})}};
}

Group<Counter, HedgeResult> Families::hedges(std::string_view upstream) {
  return {registry_.resolve(hedges_, {upstream})};
}

Gauge Families::concurrency_limit(std::string_view upstream) {
  return {registry_.resolve(concurrency_limit_, {upstream})};
}

Counter Families::ejections(std::string_view upstream) { return {registry_.resolve(ejections_, {upstream})}; }

UpstreamMetrics Families::upstream(std::string_view upstream) {
  return {.requests = {registry_.resolve(upstream_requests_, {upstream})},
          .seconds = {registry_.resolve(upstream_seconds_, {upstream})},
          .connections = {registry_.resolve(upstream_connections_, {upstream})},
          .retries = {registry_.resolve(retries_, {upstream})},
          .pool_full = {registry_.resolve(limit_hits_, {"upstream_idle"})}};
}

StreamMetrics Families::stream(std::string_view stream) {
  return {.sessions = {registry_.resolve(stream_sessions_, {stream})},
          .bytes = {registry_.resolve(stream_bytes_, {stream})},
          .datagrams = {registry_.resolve(stream_datagrams_, {stream})}};
}

Group<Gauge, ConnectionState> Families::connections(std::string_view listener) {
  return {registry_.resolve(connections_, {listener})};
}

TlsMetrics Families::tls(std::string_view listener) {
  return {.handshakes = {registry_.resolve(tls_handshakes_, {listener})},
          .failures = {registry_.resolve(tls_failures_, {listener})}};
}

Gauge Families::certificate_expires(std::string_view name) {
  return {registry_.resolve(certificate_expires_, {name})};
}

Group<Counter, AcmeResult> Families::acme_orders(std::string_view name) {
  return {registry_.resolve(acme_orders_, {name})};
}
Gauge Families::ocsp_expires(std::string_view name) { return {registry_.resolve(ocsp_expires_, {name})}; }

Group<Counter, MirrorResult> Families::mirrored(std::string_view upstream) {
  return {registry_.resolve(mirrored_, {upstream})};
}
StoreMetrics Families::store(std::string_view store) {
  return {.requests = {registry_.resolve(store_requests_, {store})},
          .errors = {registry_.resolve(store_errors_, {store})},
          .connected = {registry_.resolve(store_connected_, {store})}};
}
Counter Families::waited(std::string_view policy) { return {registry_.resolve(waited_, {policy})}; }
Counter Families::limited(std::string_view policy) { return {registry_.resolve(limited_, {policy})}; }

Gauge Families::worker_busy_ppm(uint32_t worker) {
  return {registry_.resolve(busy_ratio_, {fmt::format_int(worker).c_str()})};
}

Gauge Families::build_info(std::string_view version, std::string_view io) {
  return {registry_.resolve(build_info_, {version, io})};
}

Gauge Families::io_backend(std::string_view backend, std::string_view reason) {
  return {registry_.resolve(io_backend_, {backend, reason})};
}

}  // namespace sluice::telemetry
