#include "http/h1/message_writer.h"

#include "http/h1/serializer.h"
#include "http/transfer_errors.h"

namespace sluice::http::h1 {

namespace {

constexpr int kTurnsBeforeYield = 64;
constexpr Error kWrongLengthError{502, "wrong_length", "The body has another length than announced.", true};

/// The pieces of one write.
class Pieces {
 public:
  void add(std::string_view text) {
    if (!text.empty()) pieces_[count_++] = {const_cast<char*>(text.data()), text.size()};
  }
  std::span<const iovec> all() const { return {pieces_, count_}; }
  bool empty() const { return count_ == 0; }
  void clear() { count_ = 0; }

 private:
  iovec pieces_[5];
  size_t count_ = 0;
};

}  // namespace

io::Task<WriteResult> write_message(io::Loop& loop, io::Stream& sink, std::string_view head,
                                    OutgoingFraming framing, Body body, TransferWatch& watch, Arena& arena) {
  using Waiting = TransferWatch::Waiting;
  WriteResult result;
  Pieces pieces;
  pieces.add(head);
  if (framing.framing == Framing::kNone || !body.stream) {
    if (framing.framing == Framing::kLength && body.bytes.size() != framing.length) {
      result.outcome = WriteResult::Outcome::kSourceFailed;
      result.source_error = kWrongLengthError;
      co_return result;
    }
    ChunkLine line(body.bytes.size());
    bool chunked = framing.framing == Framing::kChunked;
    bool framed = chunked && !body.bytes.empty();  // a chunk of size zero would be the last one
    if (framed) pieces.add(line.text());
    if (framing.framing != Framing::kNone) pieces.add(body.bytes);
    if (framed) pieces.add(kChunkEnd);
    if (chunked) pieces.add(kLastChunk);
    watch.waiting = Waiting::kSink;
    auto written = co_await sink.write(pieces.all());
    watch.waiting = Waiting::kNobody;
    result.anything_written = true;
    if (!written) {
      result.outcome = WriteResult::Outcome::kSinkFailed;
      result.sink_error = written.error();
    }
    co_return result;
  }

  uint64_t left = framing.length;
  for (int turn = 1;; ++turn) {
    ChunkResult chunk;
    if (!body.stream->try_read(chunk)) {
      if (!pieces.empty()) {  // a head must not wait for its body
        watch.waiting = Waiting::kSink;
        auto written = co_await sink.write(pieces.all());
        pieces.clear();
        result.anything_written = true;
        if (!written) {
          watch.waiting = Waiting::kNobody;
          result.outcome = WriteResult::Outcome::kSinkFailed;
          result.sink_error = written.error();
          co_return result;
        }
      }
      watch.waiting = Waiting::kSource;
      chunk = co_await body.stream->read();
    }
    if (chunk && framing.framing == Framing::kLength) {
      bool fits = chunk->bytes.size() <= left;
      if (fits) left -= chunk->bytes.size();
      if (!fits || (chunk->end && left != 0)) chunk = std::unexpected(kWrongLengthError);
    }
    if (!chunk) {
      watch.waiting = Waiting::kNobody;
      result.outcome = WriteResult::Outcome::kSourceFailed;
      result.source_error = chunk.error();
      co_return result;
    }
    watch.source_moved += chunk->bytes.size();
    ChunkLine line(chunk->bytes.size());
    if (framing.framing == Framing::kChunked) {
      if (!chunk->bytes.empty()) {
        pieces.add(line.text());
        pieces.add(chunk->bytes);
        pieces.add(kChunkEnd);
      }
      if (chunk->end) pieces.add(chunk->trailers ? write_last_chunk(*chunk->trailers, arena) : kLastChunk);
    } else {
      pieces.add(chunk->bytes);
    }
    if (!pieces.empty()) {
      watch.waiting = Waiting::kSink;
      auto written = co_await sink.write(pieces.all());
      pieces.clear();
      result.anything_written = true;
      if (!written) {
        watch.waiting = Waiting::kNobody;
        result.outcome = WriteResult::Outcome::kSinkFailed;
        result.sink_error = written.error();
        co_return result;
      }
    }
    if (chunk->end) break;
    if (turn % kTurnsBeforeYield == 0) co_await loop.yield();
  }
  watch.waiting = Waiting::kNobody;
  co_return result;
}

}  // namespace sluice::http::h1
