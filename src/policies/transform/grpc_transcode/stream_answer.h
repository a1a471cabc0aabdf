// The body of an answer whose server streams: each message is JSON of its own, a line (NDJSON) or an event
// (server-sent events), that leaves as soon as it has come.
#pragma once

#include <string>

#include "base/arena.h"
#include "http/body.h"
#include "http/grpc_frame.h"
#include "http/grpc_status.h"
#include "policies/transform/grpc_transcode/binding.h"

namespace sluice::policies::grpc {

enum class StreamForm : uint8_t { kLines, kEvents, kRaw };

class StreamAnswer final : public http::BodyReader {
 public:
  struct Settings {
    const Binding& binding;
    const MessageCodec& codec;
    size_t max_message;
    StreamForm form;
    Arena& arena;
    std::string_view request_id;
  };

  StreamAnswer(http::BodyReader& source, const Settings& settings)
      : source_(source), settings_(settings), frames_(settings.max_message) {}

  bool try_read(http::ChunkResult& result) override;

 private:
  io::Task<http::ChunkResult> wait_read() override;
  /// Makes a chunk of what has come of the source; false: more is needed.
  bool make_chunk(http::ChunkResult& result);
  void accept(http::ChunkResult chunk);
  bool add_message(const http::GrpcFrameReader::Frame& frame);
  void add_text(std::string_view json, std::string_view event);
  void take_status(const http::Fields* trailers);
  void fail(const http::Error& error);

  http::BodyReader& source_;
  Settings settings_;
  http::GrpcFrameReader frames_;
  std::string_view rest_;  // of the source's chunk
  bool source_ended_ = false;
  const http::Fields* trailers_ = nullptr;
  std::string json_;
  std::string out_;
  bool ended_ = false;
  std::optional<http::Error> error_;
};

/// What a failed call is for an HTTP client: problem details, in `arena`.
std::string_view write_grpc_problem(http::GrpcStatus status, std::string_view message,
                                    std::string_view request_id, Arena& arena);

inline constexpr http::Error kBadAnswerError{502, "bad_grpc_answer",
                                             "The upstream's answer is not what gRPC says.", true};
inline constexpr http::Error kCompressedAnswerError{
    502, "compressed_grpc_answer", "The upstream compressed a message, which it was not asked for.", true};
inline constexpr http::Error kLargeAnswerError{502, "message_too_large",
                                               "A message of the upstream is larger than allowed.", true};

}  // namespace sluice::policies::grpc
