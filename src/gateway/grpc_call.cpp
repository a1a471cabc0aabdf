#include "gateway/grpc_call.h"

#include "http/grpc_timeout.h"

namespace sluice::gateway {

namespace {

using http::FieldName;

constexpr Refusal kBadTimeout{400, "bad_grpc_timeout", "`grpc-timeout` is not a number with a unit.",
                              telemetry::ErrorBy::kClient};

/// Whoever gives more time gives all.
constexpr Duration kMostTime = std::chrono::years(1);

}  // namespace

Speech speech_of(const http::ServerExchange& server) {
  const http::Request& request = server.request;
  if (request.method != http::Method::kPost) return Speech::kHttp;
  // Where framing is in doubt the answer is plain HTTP's (contract, section 3 "Strictness").
  if (server.refused && request.version != http::Version::kHttp2) return Speech::kHttp;
  std::string_view type = request.fields.value(FieldName::kContentType);
  if (http::is_grpc_content_type(type)) return Speech::kGrpc;
  return http::is_grpc_web_content_type(type) ? Speech::kGrpcWeb : Speech::kHttp;
}

void answer_call(Exchange& exchange, http::GrpcStatus status, std::string_view message) {
  http::Response& response = exchange.response;
  response.status = 200;
  response.reason = {};
  response.upgrade = {};
  response.fields.clear();
  response.fields.add(FieldName::kContentType, "application/grpc");
  response.fields.add("grpc-status", http::grpc_status_text(status));
  if (!message.empty())
    response.fields.add("grpc-message", http::encode_grpc_message(message, exchange.arena));
  response.body = http::BodyLength::known(0);
  exchange.response_body = http::Body::none();
}

const Refusal* set_deadline(Exchange& exchange, const RoutePlan& plan) {
  const Refusal* wrong = nullptr;
  Duration time = plan.total > Duration::zero() ? plan.total : Duration::max();
  const http::Field* field =
      exchange.speech == Speech::kHttp ? nullptr : exchange.request.fields.find(http::kGrpcTimeoutField);
  if (field) {
    auto timeout = http::parse_grpc_timeout(field->value);
    if (timeout)
      time = std::min(time, *timeout);
    else
      wrong = &kBadTimeout;
  }
  if (time < kMostTime) {
    exchange.deadline = exchange.server.began + time;
    exchange.server.timer.set_total(exchange.deadline);
  }
  return wrong;
}

}  // namespace sluice::gateway
