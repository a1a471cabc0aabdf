#include "http/h1/stream_body.h"

#include <algorithm>

#include "http/transfer_errors.h"

namespace sluice::http::h1 {

StreamBody::StreamBody(io::Stream& stream, Side side, Framing framing, uint64_t length, const Limits& limits,
                       Arena& arena)
    : stream_(stream), side_(side), framing_(framing), left_(length), trailers_(arena) {
  if (framing == Framing::kChunked) chunked_.emplace(side, limits, trailers_);
  if (framing == Framing::kNone || (framing == Framing::kLength && length == 0)) done_ = true;
}

bool StreamBody::try_read(ChunkResult& result) {
  started_ = true;
  if (done_) {
    result = Chunk{.bytes = {}, .end = true};
    return true;
  }
  for (;;) {
    if (!lease_.empty() && decode(result)) return true;
    io::Stream::ReadAwait read{stream_};
    lease_.release();
    if (!read.await_ready()) return false;
    if (!accept(std::move(read.result), result)) return true;
  }
}

io::Task<ChunkResult> StreamBody::wait_read() {
  ChunkResult result;
  for (;;) {
    auto read = co_await stream_.read();
    if (!accept(std::move(read), result)) co_return result;
    if (decode(result)) co_return result;
    lease_.release();
  }
}

bool StreamBody::accept(io::Result<io::Lease> read, ChunkResult& result) {
  bool request = side_ == Side::kRequest;
  if (!read) {
    if (read.error().code == io::ErrorCode::kCancelled)
      fail(kCancelledError, result);
    else
      fail(request ? kClientGoneError : kUpstreamResetError, result);
    return false;
  }
  if (!read->empty()) {
    lease_ = std::move(*read);
    return true;
  }
  if (framing_ == Framing::kUntilClose) {
    done_ = true;
    result = Chunk{.bytes = {}, .end = true};
  } else {
    fail(request ? kClientGoneError : kUpstreamTruncatedError, result);
  }
  return false;
}

bool StreamBody::decode(ChunkResult& result) {
  Chunk chunk;
  if (framing_ == Framing::kChunked) {
    std::string_view input = lease_.bytes();
    size_t before = input.size();
    auto step = chunked_->next(input);
    if (!step) {
      fail(step.error(), result);
      return true;
    }
    lease_.consume(before - input.size());
    chunk.bytes = step->data;
    chunk.end = step->done;
    if (!chunk.end && chunk.bytes.empty()) return false;
    if (chunk.end && !trailers_.empty()) chunk.trailers = &trailers_;
  } else {
    chunk.bytes = lease_.bytes();
    if (framing_ == Framing::kLength) {
      chunk.bytes = chunk.bytes.substr(0, static_cast<size_t>(std::min<uint64_t>(left_, chunk.bytes.size())));
      left_ -= chunk.bytes.size();
      chunk.end = left_ == 0;
    }
    lease_.consume(chunk.bytes.size());
  }
  received_ += chunk.bytes.size();
  if (received_ > limit_) {
    fail(kRequestTooLargeError, result);
    return true;
  }
  if (chunk.end) finish();
  result = chunk;
  return true;
}

void StreamBody::finish() {
  done_ = true;
  // The chunk's bytes stay valid: the buffer is the stream's until somebody reads the next message.
  if (!lease_.empty()) stream_.unread(std::move(lease_));
}

void StreamBody::fail(const Error& error, ChunkResult& result) {
  failed_ = true;
  result = std::unexpected(error);
}

}  // namespace sluice::http::h1
