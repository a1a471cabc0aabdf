// The bodies of gRPC-Web: base64 on the way in, the trailers as a last message, and base64 again, on the way
// out.
#pragma once

#include <string>

#include "base/base64.h"
#include "http/body.h"

namespace sluice::policies {

/// A request's body in base64 (`application/grpc-web-text`), decoded as it comes.
class Base64Body final : public http::BodyReader {
 public:
  explicit Base64Body(http::BodyReader& source) : source_(source) {}
  bool try_read(http::ChunkResult& result) override;

 private:
  io::Task<http::ChunkResult> wait_read() override;
  /// False: nothing to hand on yet.
  bool accept(const http::ChunkResult& chunk, http::ChunkResult& result);

  http::BodyReader& source_;
  base64::StreamDecoder decoder_;
  std::string out_;
  bool failed_ = false;
};

/// An answer's messages as they come, then its trailers as a message with the flag 0x80.
class WebAnswer final : public http::BodyReader {
 public:
  /// `source` is null for an answer that is `head` alone: its fields say the status.
  WebAnswer(http::BodyReader* source, const http::Fields& head, bool text)
      : source_(source), head_(head), text_(text) {}
  bool try_read(http::ChunkResult& result) override;

 private:
  io::Task<http::ChunkResult> wait_read() override;
  void accept(const http::ChunkResult& chunk, http::ChunkResult& result);
  void add(std::string_view bytes);
  std::string trailers_frame(const http::Fields* trailers) const;

  http::BodyReader* source_;
  const http::Fields& head_;
  bool text_;
  bool done_ = false;
  std::string out_;
};

/// gRPC's own fields, which say how a call ended.
bool is_status_field(std::string_view name);

}  // namespace sluice::policies
