// What one exchange keeps of its transcoded call. Inner header of this folder.
#pragma once

#include <optional>
#include <string>

#include "gateway/exchange.h"
#include "http/grpc_frame.h"
#include "policies/transform/grpc_transcode/grpc_transcode.h"
#include "policies/transform/grpc_transcode/json_upload.h"
#include "policies/transform/grpc_transcode/stream_answer.h"

namespace sluice::policies {

namespace grpc {

/// A body that is whole.
class WholeBody final : public http::BodyReader {
 public:
  explicit WholeBody(std::string_view bytes) : bytes_(bytes) {}
  bool try_read(http::ChunkResult& result) override {
    result = http::Chunk{.bytes = std::exchange(bytes_, {}), .end = true};
    return true;
  }

 private:
  io::Task<http::ChunkResult> wait_read() override { co_return http::Chunk{.bytes = {}, .end = true}; }
  std::string_view bytes_;
};

}  // namespace grpc

struct GrpcTranscode::Call {
  Call(const grpc::Binding& of, const gateway::Exchange& exchange, size_t max_message)
      : binding(of),
        method(exchange.request.method),
        method_text(exchange.request.method_text),
        frames(max_message) {}

  const grpc::Binding& binding;
  // What was asked with: while the call is under way the request says POST.
  http::Method method;
  std::string_view method_text;
  bool sent = false;    // the request is a call now
  bool events = false;  // the caller wants server-sent events

  std::string url_fields;  // of the message
  std::string body;        // as it came
  std::string message;     // with its prefix
  std::optional<grpc::WholeBody> whole;
  std::optional<grpc::JsonUpload> upload;

  http::GrpcFrameReader frames;  // of an answer that is one message
  std::string answer;            // the message, then its JSON
  bool has_answer = false;
  bool answer_ended = false;
  const http::Fields* trailers = nullptr;
  std::optional<grpc::StreamAnswer> stream;
};

}  // namespace sluice::policies
