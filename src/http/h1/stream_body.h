// The body of a message on an HTTP/1.x connection, read off its stream as it is asked for.
#pragma once

#include <cstdint>
#include <optional>

#include "http/body.h"
#include "http/h1/chunked_decoder.h"
#include "http/h1/framing.h"
#include "io/stream.h"

namespace sluice::http::h1 {

/// Lends the stream's own buffers: no byte is copied. Stops exactly at the end of the body and gives what
/// lies behind it back to the stream.
class StreamBody final : public BodyReader {
 public:
  /// `length` counts for Framing::kLength. Trailers live in `arena`.
  StreamBody(io::Stream& stream, Side side, Framing framing, uint64_t length, const Limits& limits,
             Arena& arena);

  bool try_read(ChunkResult& result) override;

  /// The end was read: the next message begins where the stream stands.
  bool done() const { return done_; }
  /// Neither an end nor an error was met so far.
  bool open() const { return !done_ && !failed_; }
  bool started() const { return started_; }
  uint64_t bytes_received() const { return received_; }
  /// Bytes still to come, when that is known.
  std::optional<uint64_t> bytes_left() const {
    if (framing_ == Framing::kLength) return left_;
    return std::nullopt;
  }
  /// More than `bytes` in all is an error with 413.
  void limit(uint64_t bytes) { limit_ = bytes; }

 private:
  io::Task<ChunkResult> wait_read() override;
  /// Takes what the stream gave; false: `result` is final.
  bool accept(io::Result<io::Lease> read, ChunkResult& result);
  /// Makes a chunk of what is at hand; false: more bytes are needed.
  bool decode(ChunkResult& result);
  void finish();
  void fail(const Error& error, ChunkResult& result);

  io::Stream& stream_;
  Side side_;
  Framing framing_;
  bool started_ = false;
  bool done_ = false;
  bool failed_ = false;
  io::Lease lease_;
  uint64_t left_;
  uint64_t received_ = 0;
  uint64_t limit_ = UINT64_MAX;
  Fields trailers_;
  std::optional<ChunkedDecoder> chunked_;
};

}  // namespace sluice::http::h1
