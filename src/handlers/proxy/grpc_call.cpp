#include "handlers/proxy/grpc_call.h"

#include <algorithm>

#include "gateway/grpc_call.h"
#include "gateway/worker.h"
#include "http/grpc_timeout.h"
#include "http/transfer_errors.h"

namespace sluice::handlers {

namespace {

using gateway::Refusal;
using gateway::Speech;
using http::FieldName;
using http::GrpcStatus;
using telemetry::ErrorBy;

constexpr std::string_view kStatusField = "grpc-status";
constexpr std::string_view kMessageField = "grpc-message";

constexpr Refusal kForeignAnswer{502, "bad_grpc_answer", "The upstream's answer is not gRPC.",
                                 ErrorBy::kUpstream};
constexpr Refusal kLargeAnswer{413, http::kGrpcMessageTooLargeError.code,
                               "A message of the upstream is larger than allowed.", ErrorBy::kUpstream};

GrpcStatus status_in(const http::Fields* fields) {
  const http::Field* field = fields ? fields->find(kStatusField) : nullptr;
  if (!field) return GrpcStatus::kUnknown;
  return http::parse_grpc_status(field->value).value_or(GrpcStatus::kUnknown);
}

/// Of somebody who does not speak gRPC: a proxy before the service, or none.
bool is_foreign(const http::Response& response) {
  return !http::is_grpc_content_type(response.fields.value(FieldName::kContentType)) &&
         !response.fields.find(kStatusField);
}

}  // namespace

// --- the request ---

bool GrpcRequestBody::try_read(http::ChunkResult& result) {
  if (!source_.try_read(result)) return false;
  accept(result);
  return true;
}

io::Task<http::ChunkResult> GrpcRequestBody::wait_read() {
  auto result = co_await source_.read();
  accept(result);
  co_return result;
}

void GrpcRequestBody::accept(http::ChunkResult& result) {
  if (result && meter_.pass(result->bytes) < result->bytes.size())
    result = std::unexpected(http::kGrpcMessageTooLargeError);
}

// --- the answer ---

GrpcAnswerBody::GrpcAnswerBody(gateway::Exchange& exchange, Attempt& attempt, http::BodyReader& source)
    : exchange_(exchange), attempt_(attempt), source_(source), tells_(exchange.speech != Speech::kHttp) {
  if (tells_ && exchange.plan->grpc_message > 0) meter_.emplace(exchange.plan->grpc_message);
}

bool GrpcAnswerBody::try_read(http::ChunkResult& result) {
  // What is at hand already does not go on for ever.
  if (tells_ && attempt_.cancelled())
    result = std::unexpected(http::kCancelledError);
  else if (!source_.try_read(result))
    return false;
  accept(result);
  return true;
}

io::Task<http::ChunkResult> GrpcAnswerBody::wait_read() {
  auto result = co_await source_.read();
  accept(result);
  co_return result;
}

void GrpcAnswerBody::accept(http::ChunkResult& result) {
  if (!result) {
    if (!tells_) return;
    Refusal refusal = attempt_.refusal_of(result.error());
    if (refusal.status != http::kClientGoneError.status) result = end_with({}, refusal);
    return;
  }
  attempt_.show_life();
  if (meter_) {
    size_t allowed = meter_->pass(result->bytes);
    if (allowed < result->bytes.size()) {
      result = end_with(result->bytes.substr(0, allowed), kLargeAnswer);
      return;
    }
  }
  if (result->end) exchange_.grpc_status = status_in(result->trailers);
}

http::Chunk GrpcAnswerBody::end_with(std::string_view bytes, const Refusal& refusal) {
  GrpcStatus status = http::grpc_status_of_http(refusal.status);
  exchange_.fail_call(refusal, status);
  auto* trailers = exchange_.arena.make<http::Fields>(exchange_.arena);
  trailers->add(kStatusField, http::grpc_status_text(status));
  trailers->add(kMessageField, http::encode_grpc_message(refusal.detail, exchange_.arena));
  return {.bytes = bytes, .end = true, .trailers = trailers};
}

// --- the call ---

bool GrpcCall::is_one(const gateway::Exchange& exchange) {
  if (exchange.speech == Speech::kGrpc) return true;
  const http::Request& request = exchange.request;
  return request.method == http::Method::kPost &&
         http::is_grpc_content_type(request.fields.value(FieldName::kContentType));
}

GrpcCall::GrpcCall(gateway::Exchange& exchange, const gateway::Upstream& upstream)
    : exchange_(exchange), upstream_(upstream) {
  exchange.server.te_trailers = true;  // a service may refuse calls without it
  uint64_t most = exchange.plan->grpc_message;
  if (exchange.request_body && most > 0) exchange.request_body = &body_.emplace(*exchange.request_body, most);
}

void GrpcCall::begin_try() {
  if (exchange_.deadline == kNever) return;
  Duration left = exchange_.deadline - exchange_.now();
  exchange_.request.fields.set(http::kGrpcTimeoutField, http::write_grpc_timeout(left, exchange_.arena));
}

bool GrpcCall::retries(GrpcStatus status) const {
  return upstream_.retry.grpc_statuses >> static_cast<int>(status) & 1;
}

bool GrpcCall::retries(const Failure& failure) const {
  return retries(http::grpc_status_of_http(failure.refusal.status));
}

bool GrpcCall::retries_answer() const {
  const http::Response& response = exchange_.response;
  if (is_foreign(response)) return retries(http::grpc_status_of_foreign(response.status));
  // A status in the head is all of the answer; otherwise its first byte has come.
  return response.fields.find(kStatusField) && retries(status_in(&response.fields));
}

void GrpcCall::begin_answer(Attempt& attempt) {
  http::Response& response = exchange_.response;
  if (exchange_.speech == Speech::kGrpc && is_foreign(response)) return refuse_foreign_answer();
  exchange_.grpc_status = status_in(&response.fields);
  http::BodyReader* body = attempt.body();
  if (!body) return;
  exchange_.response_body = http::Body::of(answer_.emplace(exchange_, attempt, *body));
  if (exchange_.speech != Speech::kHttp && exchange_.deadline != kNever) attempt.take_deadline();
}

void GrpcCall::refuse_foreign_answer() {
  uint16_t http_status = exchange_.response.status;
  GrpcStatus status = http::grpc_status_of_foreign(http_status);
  std::ignore = exchange_.refuse(kForeignAnswer);
  exchange_.grpc_status = status;
  gateway::answer_call(exchange_, status,
                       exchange_.arena.concat("The upstream answered with the HTTP status ",
                                              std::to_string(http_status), ", and not gRPC."));
}

}  // namespace sluice::handlers
