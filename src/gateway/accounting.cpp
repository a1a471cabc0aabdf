// The end of an exchange: what is counted and what is logged.
#include "gateway/tunnel.h"
#include "gateway/worker.h"
#include "http/grpc_frame.h"

namespace sluice::gateway {

namespace {

using telemetry::ErrorBy;

/// The limit that a refusal of ours stands for (`sluice_limit_hits_total`), or empty.
std::string_view limit_of(const Refusal& refusal) {
  if (refusal.code == "overloaded") return "queue_delay";
  if (refusal.code == http::kGrpcMessageTooLargeError.code) return "grpc_message";
  if (refusal.code == "too_many_interim_responses") return "interim_responses";
  switch (refusal.status) {
    case 413:
      return "request_body";
    case 414:
      return "request_target";
    case 431:
      return refusal.code == "too_many_fields" ? "request_fields" : "request_head";
    default:
      return {};
  }
}

/// What is to be said of an answer, and whose fault it is.
struct Judgement {
  uint16_t status;
  ErrorBy error_by;
  std::string_view error_code;
};

Judgement judge(const Exchange& exchange) {
  const http::ServerExchange& server = exchange.server;
  const Refusal* refusal = exchange.refusal();
  Judgement judgement{exchange.response.status, exchange.error_by,
                      refusal ? refusal->code : std::string_view()};
  if (server.outcome() == http::SendOutcome::kComplete) return judgement;
  // It broke off.
  if (server.token.reason() == io::CancelReason::kDrain)
    return {judgement.status, ErrorBy::kGateway, "drain"};
  if (server.outcome() == http::SendOutcome::kClientFailed)
    return {499, ErrorBy::kClient, judgement.error_code};
  judgement.error_by = ErrorBy::kUpstream;
  if (server.timer.expired() == http::Phase::kDownload) judgement.error_code = "stream_idle";
  if (server.timer.expired() == http::Phase::kTotal) judgement.error_code = "timeout";
  return judgement;
}

/// A label for the code of a close frame: those of RFC 6455 by name, those of libraries and applications by
/// their range.
std::string_view close_text(uint16_t code) {
  static constexpr std::string_view kRegistered[] = {"1000", "1001", "1002", "1003", "1004",
                                                     "1005", "1006", "1007", "1008", "1009",
                                                     "1010", "1011", "1012", "1013", "1014"};
  if (code >= 1000 && code - 1000U < std::size(kRegistered)) return kRegistered[code - 1000];
  if (code >= 3000 && code < 4000) return "3xxx";
  if (code >= 4000 && code < 5000) return "4xxx";
  return "other";
}

}  // namespace

void Worker::account(Exchange& exchange) {
  http::ServerExchange& server = exchange.server;
  Duration total = loop_.now() - server.began;
  Duration upstream = std::min(exchange.upstream.time, total);
  const Judgement judgement = judge(exchange);
  if (exchange.grpc_status && server.outcome() != http::SendOutcome::kComplete)
    exchange.grpc_status = judgement.error_by == ErrorBy::kClient ? http::GrpcStatus::kCancelled
                                                                  : http::GrpcStatus::kUnavailable;
  if (exchange.grpc_status) count_call(exchange, *exchange.grpc_status);

  const RoutePlan* plan = exchange.plan;
  const telemetry::RouteMetrics& counters = plan ? plan->metrics : snapshot_->unmatched->metrics;
  metrics_.add(counters.requests[telemetry::code_class(judgement.status)]);
  metrics_.observe(counters.seconds[telemetry::Phase::kTotal], total);
  if (exchange.upstream.tries > 0) metrics_.observe(counters.seconds[telemetry::Phase::kUpstream], upstream);
  metrics_.observe(counters.seconds[telemetry::Phase::kGateway], total - upstream);
  if (!judgement.error_code.empty()) metrics_.add(refused_[judgement.error_code]);
  if (const Refusal* refusal = exchange.refusal()) {
    std::string_view limit = limit_of(*refusal);
    if (!limit.empty()) count_limit(limit);
  }

  if (!log_ || !(plan ? plan->log : snapshot_->unmatched->log)) return;
  telemetry::AccessRecord record = record_of(exchange);
  record.status = judgement.status;
  record.error_by = judgement.error_by;
  record.error_code = judgement.error_code;
  if (exchange.tunnel)
    exchange.tunnel->keep(record);
  else
    log(record);
}

void Worker::count_call(const Exchange& exchange, http::GrpcStatus status) {
  const RoutePlan& plan = exchange.plan ? *exchange.plan : *snapshot_->unmatched;
  uint32_t slot = plan.grpc_metrics.load(std::memory_order_acquire);
  if (slot == 0) {
    slot = services_.metrics.grpc(plan.api, plan.route).slot;
    plan.grpc_metrics.store(slot, std::memory_order_release);
  }
  metrics_.add(telemetry::Group<telemetry::Counter, http::GrpcStatus>{slot}[status]);
}

void Worker::log(const telemetry::AccessRecord& record) {
  log_->write(record);
  log_flush_.line_written();
}

telemetry::AccessRecord Worker::record_of(Exchange& exchange) const {
  const http::ServerExchange& server = exchange.server;
  const RoutePlan* plan = exchange.plan;
  Duration total = loop_.now() - server.began;
  Duration upstream = std::min(exchange.upstream.time, total);
  const http::Request& request = exchange.request;
  telemetry::AccessRecord record;
  record.time = loop_.wall_now() - total;
  record.request_id = exchange.request_id();
  record.client_request_id = exchange.client_request_id;
  record.listener = listener_name(server.listener);
  record.client_address = exchange.client_address();
  record.method = request.method_text;
  record.host = request.authority;
  record.path = exchange.received_path;
  record.protocol = http::version_text(request.version);
  if (plan) {
    record.api = plan->api;
    record.route = plan->route;
  }
  if (exchange.identity) {
    record.consumer = exchange.identity->consumer;
    record.credential = exchange.identity->credential;
  }
  record.plan = exchange.plan_name;
  if (exchange.grpc_status) record.grpc_status = static_cast<uint8_t>(*exchange.grpc_status);
  record.dry_run = exchange.dry_run;
  record.upstream = exchange.upstream.upstream;
  if (exchange.upstream.target) record.target = exchange.upstream.target->authority;
  record.tries = exchange.upstream.tries;
  record.request_bytes = server.request_bytes();
  record.response_bytes = server.response_bytes();
  record.total = total;
  if (exchange.upstream.tries > 0) record.upstream_time = upstream;
  record.gateway_time = total - upstream;
  record.revision = snapshot_->revision;
  return record;
}

void Worker::account_tunnel(const TunnelEnd& end, uint64_t received, uint64_t sent) {
  metrics_.add(websockets_.open, -1);
  metrics_.add(websockets_ended_[end.how]);
  metrics_.add(websocket_closes_[close_text(end.count.close_code)]);
  metrics_.add(websockets_.messages_received, end.count.received);
  metrics_.add(websockets_.messages_sent, end.count.sent);
  metrics_.add(websockets_.received, received);
  metrics_.add(websockets_.sent, sent);
}

void Worker::log_connection(telemetry::AccessRecord& record, uint16_t listener, const io::Address& peer,
                            Duration total) {
  if (!log_) return;
  std::string client = peer.ip_text();
  record.time = loop_.wall_now() - total;
  record.listener = listener_name(listener);
  record.client_address = client;
  record.total = total;
  record.revision = snapshot_->revision;
  log_->write(record);
  log_flush_.line_written();
}

}  // namespace sluice::gateway
