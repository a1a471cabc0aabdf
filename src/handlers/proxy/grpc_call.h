// What the proxy does for a gRPC call beside sending it on: its deadline, sizes of messages, tries after the
// first, and how it has ended.
#pragma once

#include <optional>

#include "gateway/exchange.h"
#include "gateway/upstream.h"
#include "handlers/proxy/attempt.h"
#include "http/grpc_frame.h"

namespace sluice::handlers {

/// A call's request as the upstream gets it: bounded by message.
class GrpcRequestBody final : public http::BodyReader {
 public:
  GrpcRequestBody(http::BodyReader& source, uint64_t max_message) : source_(source), meter_(max_message) {}
  bool try_read(http::ChunkResult& result) override;

 private:
  io::Task<http::ChunkResult> wait_read() override;
  void accept(http::ChunkResult& result);

  http::BodyReader& source_;
  http::GrpcMessageMeter meter_;
};

/// A call's answer as the caller gets it. Its trailers tell how the call ended; when it breaks off, is out of
/// time or has a message that is too large, that is said in trailers of ours, as far as the caller reads
/// gRPC.
class GrpcAnswerBody final : public http::BodyReader {
 public:
  GrpcAnswerBody(gateway::Exchange& exchange, Attempt& attempt, http::BodyReader& source);
  bool try_read(http::ChunkResult& result) override;

 private:
  io::Task<http::ChunkResult> wait_read() override;
  void accept(http::ChunkResult& result);
  http::Chunk end_with(std::string_view bytes, const gateway::Refusal& refusal);

  gateway::Exchange& exchange_;
  Attempt& attempt_;
  http::BodyReader& source_;
  const bool tells_;  // the caller reads trailers of ours
  std::optional<http::GrpcMessageMeter> meter_;
};

class GrpcCall {
 public:
  /// Whether the exchange is a call, for the client or towards the upstream.
  static bool is_one(const gateway::Exchange& exchange);

  GrpcCall(gateway::Exchange& exchange, const gateway::Upstream& upstream);
  GrpcCall(const GrpcCall&) = delete;
  GrpcCall& operator=(const GrpcCall&) = delete;

  /// Before each try: tells the upstream how much time is left.
  void begin_try();
  /// Whether `retry.on` names the status that a try ended with.
  bool retries(const Failure& failure) const;
  bool retries_answer() const;
  /// The head of the answer is there: from now on the answer's body is ours.
  void begin_answer(Attempt& attempt);

 private:
  bool retries(http::GrpcStatus status) const;
  void refuse_foreign_answer();

  gateway::Exchange& exchange_;
  const gateway::Upstream& upstream_;
  std::optional<GrpcRequestBody> body_;
  std::optional<GrpcAnswerBody> answer_;
};

}  // namespace sluice::handlers
