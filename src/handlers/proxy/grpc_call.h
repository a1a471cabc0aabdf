// What the proxy does for a gRPC call beside sending it on: its deadline, sizes of messages, tries after the
// first, and how it has ended.
#pragma once

#include <optional>

#include "gateway/exchange.h"
#include "gateway/upstream.h"
#include "handlers/proxy/attempt.h"
#include "http/grpc_frame.h"

namespace sluice::handlers {

/// A call's request as the upstream gets it: bounded by message, and kept as long as it is small, so that it
/// can be sent again.
class GrpcRequestBody final : public http::BodyReader {
 public:
  /// `max_message`: 0 for no bound.
  GrpcRequestBody(http::BodyReader& source, uint64_t max_message, Arena& arena);
  bool try_read(http::ChunkResult& result) override;
  /// It has come as a whole and is kept.
  bool kept() const { return keeps_ && ended_; }
  /// Larger than is kept.
  bool too_large_to_keep() const { return overflown_; }
  /// Nobody reads any more: the next reader gets all of it again, if it is kept.
  void rewind() { again_ = kept(); }

 private:
  io::Task<http::ChunkResult> wait_read() override;
  void accept(http::ChunkResult& result);
  void keep(const http::Chunk& chunk);

  http::BodyReader& source_;
  std::optional<http::GrpcMessageMeter> meter_;
  Arena& arena_;
  char* kept_ = nullptr;
  size_t kept_bytes_ = 0;
  size_t capacity_ = 0;
  bool keeps_ = true;
  bool ended_ = false;
  bool overflown_ = false;
  bool again_ = false;
  const http::Fields* trailers_ = nullptr;
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
  /// The request can be sent again.
  bool kept() const;
  /// Before the next try, when nobody reads the request any more.
  void rewind() {
    if (body_) body_->rewind();
  }
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
