#include "policies/transform/grpc_transcode/stream_answer.h"

#include "http/problem.h"

namespace sluice::policies::grpc {

namespace {
/// Messages that have come together leave together, up to so many bytes.
constexpr size_t kEnoughBytes = 16 * 1024;
}  // namespace

bool StreamAnswer::try_read(http::ChunkResult& result) {
  while (!make_chunk(result)) {
    http::ChunkResult chunk;
    if (!source_.try_read(chunk)) return false;
    accept(std::move(chunk));
  }
  return true;
}

io::Task<http::ChunkResult> StreamAnswer::wait_read() {
  http::ChunkResult result;
  bool made = false;
  while (!made) {
    auto chunk = co_await source_.read();
    accept(std::move(chunk));
    made = make_chunk(result);
  }
  co_return result;
}

void StreamAnswer::accept(http::ChunkResult chunk) {
  if (!chunk) return fail(chunk.error());
  rest_ = chunk->bytes;
  source_ended_ = chunk->end;
  trailers_ = chunk->trailers;
}

bool StreamAnswer::make_chunk(http::ChunkResult& result) {
  out_.clear();
  while (!rest_.empty() && out_.size() < kEnoughBytes && !error_) {
    auto frame = frames_.next(rest_);
    if (!frame)
      fail(kLargeAnswerError);
    else if (*frame && !add_message(**frame))
      break;
  }
  if (source_ended_ && rest_.empty() && !error_ && !ended_) {
    if (frames_.between_messages())
      take_status(trailers_);
    else
      fail(kBadAnswerError);
  }
  // What was whole before a fault still goes out.
  if (!out_.empty() || (ended_ && !error_))
    result = http::Chunk{.bytes = out_, .end = ended_ && !error_};
  else if (error_)
    result = std::unexpected(*error_);
  else
    return false;
  return true;
}

bool StreamAnswer::add_message(const http::GrpcFrameReader::Frame& frame) {
  if (frame.flags != 0) {
    fail(frame.flags == http::kGrpcCompressed ? kCompressedAnswerError : kBadAnswerError);
    return false;
  }
  if (settings_.form == StreamForm::kRaw) {
    out_ += settings_.binding.raw_of(frame.message).data;
    return true;
  }
  json_.clear();
  auto written = settings_.binding.write_answer(frame.message, settings_.codec, json_);
  if (!written) {
    fail(kBadAnswerError);
    return false;
  }
  add_text(json_, {});
  return true;
}

void StreamAnswer::add_text(std::string_view json, std::string_view event) {
  bool events = settings_.form == StreamForm::kEvents;
  if (!event.empty()) out_.append("event: ").append(event).append("\n");
  out_.append(events ? "data: " : "").append(json).append(events ? "\n\n" : "\n");
}

/// The head is out: a failed call can be said in the body only.
void StreamAnswer::take_status(const http::Fields* trailers) {
  const http::Field* field = trailers ? trailers->find("grpc-status") : nullptr;
  auto status = field ? http::parse_grpc_status(field->value) : std::nullopt;
  if (!status) return fail(kBadAnswerError);
  ended_ = true;
  if (*status == http::GrpcStatus::kOk) return;
  if (settings_.form == StreamForm::kRaw) {
    ended_ = false;
    return fail(kBadAnswerError);
  }
  const http::Field* message = trailers->find("grpc-message");
  std::string_view problem = write_grpc_problem(*status, message ? message->value : std::string_view(),
                                                settings_.request_id, settings_.arena);
  if (settings_.form == StreamForm::kEvents) return add_text(problem, "error");
  json_.assign("{\"error\":").append(problem).append("}");
  add_text(json_, {});
}

void StreamAnswer::fail(const http::Error& error) {
  if (!error_) error_ = error;
}

std::string_view write_grpc_problem(http::GrpcStatus status, std::string_view message,
                                    std::string_view request_id, Arena& arena) {
  if (message.empty()) message = "The service gave no reason.";
  return http::write_problem({.status = http::http_status_of_grpc(status),
                              .code = http::grpc_status_code(status),
                              .detail = http::decode_grpc_message(message, arena),
                              .request_id = request_id},
                             arena);
}

}  // namespace sluice::policies::grpc
