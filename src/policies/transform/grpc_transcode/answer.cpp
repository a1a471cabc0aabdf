// `grpc_transcode`: from a call's answer to an HTTP response.
#include "gateway/worker.h"
#include "http/problem.h"
#include "http/transfer_errors.h"
#include "policies/transform/grpc_transcode/call.h"

namespace sluice::policies {

namespace {

using gateway::Refusal;
using http::FieldName;
using telemetry::ErrorBy;

constexpr Refusal kNotGrpc{502, "bad_grpc_answer", "The upstream's answer is not gRPC.", ErrorBy::kUpstream};
constexpr Refusal kTimeout{504, "timeout", "The exchange took longer than allowed.", ErrorBy::kUpstream};
constexpr Refusal kStalled{504, "upstream_timeout", "The upstream did not answer in time.",
                           ErrorBy::kUpstream};

Refusal refusal_of(const http::Error& error) {
  return {error.status, error.code, error.detail, ErrorBy::kUpstream};
}

/// Why the answer's body could not be read to its end.
Refusal refusal_of_broken(const gateway::Exchange& exchange, const http::Error& error) {
  const io::CancelToken& token = exchange.server.token;
  if (!token.cancelled()) return refusal_of(error.status == 0 ? http::kUpstreamResetError : error);
  if (token.reason() != io::CancelReason::kDeadline)
    return {http::kClientGoneError.status, http::kClientGoneError.code, http::kClientGoneError.detail,
            ErrorBy::kClient};
  return exchange.server.timer.expired() == http::Phase::kTotal ? kTimeout : kStalled;
}

/// What is gRPC's own, or about a body that is not the one that goes out. The rest is metadata of the
/// service.
void remove_call_fields(http::Fields& fields) {
  for (std::string_view name :
       {"grpc-status", "grpc-message", "grpc-encoding", "grpc-accept-encoding", "grpc-status-details-bin",
        "content-type", "content-encoding", "content-digest", "etag", "trailer"})
    fields.remove(name);
}

}  // namespace

io::Task<> GrpcTranscode::wait_response(gateway::Exchange& exchange) const {
  const CallPointer* pointer = exchange.state<CallPointer>();
  if (!pointer || !pointer->call->sent) co_return;
  Call& call = *pointer->call;
  exchange.request.method = call.method;  // for the codec, which answers HEAD, and for the log
  exchange.request.method_text = call.method_text;
  if (exchange.refusal()) co_return;  // ours: an HTTP caller reads it as it is

  http::Response& response = exchange.response;
  bool is_grpc = http::is_grpc_content_type(response.fields.value(FieldName::kContentType));
  if (!is_grpc || response.status != 200) {
    // What is no gRPC at all, as a proxy before the service says it, is passed on when it is an error.
    if (response.status < 400) std::ignore = exchange.refuse(kNotGrpc);
    co_return;
  }
  if (response.fields.find("grpc-status")) {  // all in one head (gRPC over HTTP/2, "Trailers-Only")
    auto status = http::parse_grpc_status(response.fields.find("grpc-status")->value);
    bool streams = call.binding.method().server_streams;
    if (!status || (*status == http::GrpcStatus::kOk && !streams))
      std::ignore = exchange.refuse(kNotGrpc);
    else if (*status != http::GrpcStatus::kOk)
      answer_status(exchange, response.fields);
    else
      begin_stream(exchange, call);
    co_return;
  }
  if (call.binding.method().server_streams)
    begin_stream(exchange, call);
  else
    co_await wait_message(exchange, call);
}

/// Reads the one message and the status behind it.
io::Task<> GrpcTranscode::wait_message(gateway::Exchange& exchange, Call& call) const {
  const http::Body body = exchange.response_body;
  http::ExchangeTimer& timer = exchange.server.timer;
  http::TransferWatch watch(exchange.worker.download_bounds(), nullptr);
  watch.waiting = http::TransferWatch::Waiting::kSource;
  timer.watch_download(watch);
  http::ChunkResult chunk = http::Chunk{.bytes = body.bytes, .end = true};
  bool good = true;
  while (good && !call.answer_ended) {
    if (body.stream) chunk = co_await body.stream->read();
    if (chunk) watch.source_moved += chunk->bytes.size();
    good = take_answer(exchange, call, chunk);
  }
  timer.unwatch_download();
  if (good) answer_message(exchange, call);
}

/// False: the exchange is refused.
bool GrpcTranscode::take_answer(gateway::Exchange& exchange, Call& call,
                                const http::ChunkResult& chunk) const {
  if (!chunk) {
    std::ignore = exchange.refuse(refusal_of_broken(exchange, chunk.error()));
    return false;
  }
  std::string_view bytes = chunk->bytes;
  const http::Error* error = nullptr;
  while (!bytes.empty() && !error) {
    auto frame = call.frames.next(bytes);
    if (!frame) {
      error = &grpc::kLargeAnswerError;
    } else if (*frame) {
      if ((*frame)->flags == http::kGrpcCompressed) error = &grpc::kCompressedAnswerError;
      if ((*frame)->flags > http::kGrpcCompressed || call.has_answer) error = &grpc::kBadAnswerError;
      call.has_answer = true;
      call.answer = (*frame)->message;
    }
  }
  call.answer_ended = chunk->end;
  call.trailers = chunk->trailers;
  if (!error && chunk->end && !call.frames.between_messages()) error = &grpc::kBadAnswerError;
  if (error) std::ignore = exchange.refuse(refusal_of(*error));
  return !error;
}

void GrpcTranscode::answer_message(gateway::Exchange& exchange, Call& call) const {
  const http::Field* field = call.trailers ? call.trailers->find("grpc-status") : nullptr;
  auto status = field ? http::parse_grpc_status(field->value) : std::nullopt;
  if (status && *status != http::GrpcStatus::kOk) return answer_status(exchange, *call.trailers);
  if (!status || !call.has_answer) {
    std::ignore = exchange.refuse(refusal_of(grpc::kBadAnswerError));
    return;
  }
  http::Response& response = exchange.response;
  std::string message = std::exchange(call.answer, {});
  std::string_view type = "application/json";
  if (call.binding.answers_raw()) {
    grpc::Binding::Raw raw = call.binding.raw_of(message);
    type = raw.content_type.empty() ? "application/octet-stream" : exchange.arena.copy(raw.content_type);
    call.answer = raw.data;
  } else if (!call.binding.write_answer(message, codec_, call.answer)) {
    std::ignore = exchange.refuse(refusal_of(grpc::kBadAnswerError));
    return;
  }
  remove_call_fields(response.fields);
  response.fields.set(FieldName::kContentType, type);
  response.body = http::BodyLength::known(call.answer.size());
  exchange.response_body = http::Body::of(call.answer);
}

/// A call that failed, as its `fields` say.
void GrpcTranscode::answer_status(gateway::Exchange& exchange, const http::Fields& fields) const {
  http::GrpcStatus status =
      http::parse_grpc_status(fields.find("grpc-status")->value).value_or(http::GrpcStatus::kUnknown);
  const http::Field* message = fields.find("grpc-message");
  std::string_view body = grpc::write_grpc_problem(status, message ? message->value : std::string_view(),
                                                   exchange.request_id(), exchange.arena);
  http::Response& response = exchange.response;
  response.status = http::http_status_of_grpc(status);
  response.reason = {};
  remove_call_fields(response.fields);
  response.fields.set(FieldName::kContentType, http::kProblemContentType);
  response.body = http::BodyLength::known(body.size());
  exchange.response_body = http::Body::of(body);
  exchange.error_by = ErrorBy::kUpstream;
}

void GrpcTranscode::begin_stream(gateway::Exchange& exchange, Call& call) const {
  http::Response& response = exchange.response;
  grpc::StreamForm form = call.events ? grpc::StreamForm::kEvents : grpc::StreamForm::kLines;
  if (call.binding.answers_raw()) form = grpc::StreamForm::kRaw;
  bool trailers_only = response.fields.find("grpc-status") != nullptr;
  remove_call_fields(response.fields);
  constexpr std::string_view kTypes[] = {"application/x-ndjson", "text/event-stream",
                                         "application/octet-stream"};
  response.fields.set(FieldName::kContentType, kTypes[static_cast<size_t>(form)]);
  if (form == grpc::StreamForm::kEvents) response.fields.set(FieldName::kCacheControl, "no-cache");
  if (trailers_only || !exchange.response_body.stream) {
    // A stream that ended well without a message.
    response.body = http::BodyLength::known(0);
    exchange.response_body = http::Body::none();
    return;
  }
  call.stream.emplace(*exchange.response_body.stream,
                      grpc::StreamAnswer::Settings{call.binding, line_codec_, max_message_, form,
                                                   exchange.arena, exchange.request_id()});
  response.body = http::BodyLength::unknown();
  exchange.response_body = http::Body::of(*call.stream);
}

}  // namespace sluice::policies
