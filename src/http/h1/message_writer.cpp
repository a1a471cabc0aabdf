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
  size_t bytes() const {
    size_t total = 0;
    for (size_t i = 0; i < count_; ++i) total += pieces_[i].iov_len;
    return total;
  }
  void clear() { count_ = 0; }

 private:
  iovec pieces_[5];
  size_t count_ = 0;
};

/// What one write sends: several small pieces as one, for a system call with a list costs more than copying
/// them. The memory is the loop's, and lives until the write has ended.
class Joined {
 public:
  explicit Joined(const Pieces& pieces) : pieces_(pieces.all()) {
    size_t total = pieces_.size() > 1 ? pieces.bytes() : 0;
    if (total == 0 || total > kMostBytes) return;
    one_ = {io::allocate_frame(total), total};
    char* at = static_cast<char*>(one_.iov_base);
    for (const iovec& piece : pieces_) {
      std::memcpy(at, piece.iov_base, piece.iov_len);
      at += piece.iov_len;
    }
    pieces_ = {&one_, 1};
  }
  Joined(const Joined&) = delete;
  Joined& operator=(const Joined&) = delete;
  ~Joined() {
    if (one_.iov_base) io::release_frame(one_.iov_base, one_.iov_len);
  }
  std::span<const iovec> all() const { return pieces_; }

 private:
  static constexpr size_t kMostBytes = 2048;
  std::span<const iovec> pieces_;
  iovec one_{};
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
    Joined joined(pieces);
    auto written = co_await sink.write(joined.all());
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
      Joined joined(pieces);
      auto written = co_await sink.write(joined.all());
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
