#include "io/readiness_stream.h"

#include <algorithm>
#include <cassert>
#include <cerrno>

namespace sluice::io {

namespace {
constexpr size_t kMaxPieces = 16;
}  // namespace

bool ReadinessStream::try_read(Result<Lease>& result) {
  if (!unread_.empty()) {
    result = std::move(unread_);
    return true;
  }
  if (cancelled()) {
    result = fail(ErrorCode::kCancelled);
    return true;
  }
  if (ended_) {
    result = Lease();
    return true;
  }
  if (!readable_) return false;
  Buffer* buffer = loop_.buffers().take(read_size_.large());
  Error error;
  ssize_t n = receive(buffer->data(), buffer->capacity, error);
  Lease lease(buffer, static_cast<uint32_t>(std::max<ssize_t>(n, 0)));
  if (n > 0) {
    bytes_read_ += static_cast<uint64_t>(n);
    read_at_ = loop_.now();
    bool full = static_cast<uint32_t>(n) == buffer->capacity;
    if (!full && !hung_up_) readable_ = false;
    unsure_ = full;
    read_size_.note(static_cast<uint32_t>(n), buffer->capacity);
    result = std::move(lease);
    return true;
  }
  if (n == kWouldWait) {
    readable_ = false;
    return false;
  }
  // Linux tells of a reset once, to whoever comes first, and of a plain end from then on: what was cut short
  // must not look whole to the reader.
  if (n == 0 && !reset_) {
    ended_ = true;
    result = Lease();
    return true;
  }
  if (n == 0) error = {ErrorCode::kReset, ECONNRESET};
  reset_ = reset_ || error.code == ErrorCode::kReset;
  result = std::unexpected(error);
  return true;
}

/// Whether a read would return at once.
bool ReadinessStream::has_input() {
  if (readable_ && unsure_ && !hung_up_) {
    unsure_ = false;
    readable_ = receivable();
  }
  return readable_ || ended_ || !unread_.empty();
}

bool ReadinessStream::dirty() { return hung_up_ || has_input(); }

bool ReadinessStream::try_readable(Result<>& result) {
  result = {};
  if (has_input()) return true;
  if (!cancelled()) return false;
  result = fail(ErrorCode::kCancelled);
  return true;
}

bool ReadinessStream::try_write(std::span<const iovec> pieces, Result<>& result) {
  if (cancelled()) {
    result = fail(ErrorCode::kCancelled);
    return true;
  }
  pieces_ = pieces;
  pieces_done_ = 0;
  return send_pieces(result);
}

bool ReadinessStream::send_pieces(Result<>& result) {
  for (;;) {
    iovec rest[kMaxPieces];
    size_t count = 0;
    size_t total = 0;
    size_t skip = pieces_done_;
    for (const iovec& piece : pieces_) {
      if (skip >= piece.iov_len) {
        skip -= piece.iov_len;
        continue;
      }
      rest[count] = {static_cast<char*>(piece.iov_base) + skip, piece.iov_len - skip};
      total += rest[count++].iov_len;
      skip = 0;
      if (count == kMaxPieces) break;
    }
    if (count == 0) {
      result = {};
      return true;
    }
    Error error;
    ssize_t n = transmit({rest, count}, error);
    if (n == kWouldWait) return false;
    if (n < 0) {
      // EPIPE: the peer's end had come before; what it sent until then is whole.
      reset_ = reset_ || error.system == ECONNRESET;
      result = std::unexpected(error);
      return true;
    }
    bytes_written_ += static_cast<uint64_t>(n);
    pieces_done_ += static_cast<size_t>(n);
    if (static_cast<size_t>(n) < total) return false;  // the next event says when there is room again
  }
}

void ReadinessStream::wait_read(std::coroutine_handle<> waiter, Result<Lease>* result) {
  assert(!reader_);
  reader_ = waiter;
  read_result_ = result;
}

void ReadinessStream::wait_readable(std::coroutine_handle<> waiter, Result<>* result) {
  assert(!reader_);
  reader_ = waiter;
  readable_result_ = result;
}

void ReadinessStream::wait_write(std::coroutine_handle<> waiter, Result<>* result) {
  assert(!writer_);
  writer_ = waiter;
  write_result_ = result;
}

void ReadinessStream::on_readiness(Events events) {
  if (events.hung_up) hung_up_ = true;
  if (events.input) {
    readable_ = true;
    unsure_ = true;
  }
  // Output first: resuming the reader, or telling the observer, may end and destroy the stream. For the same
  // reason the writer goes by way of the queue when there is somebody else.
  bool others = events.input && (reader_ || observer_);
  if (writer_ && events.output) on_output(!others);
  if (!others) return;
  // Of a break both hear: the reader gets what came before it.
  bool both = reader_ && observer_ && events.broken;
  if (reader_ && !both) return on_input(true);
  if (both) on_input(false);
  if (!events.broken && read_at_ == loop_.now() && !has_input()) return;  // read earlier in this turn
  observer_->on_disturbed(events.broken);
}

void ReadinessStream::on_input(bool inline_resumption) {
  if (readable_result_) {
    // What the event tells of may have been read earlier in this turn: an idle connection must not wake.
    if (read_at_ == loop_.now() && !has_input()) return;
    *std::exchange(readable_result_, nullptr) = {};
  } else {
    if (!try_read(*read_result_)) return;
    read_result_ = nullptr;
  }
  std::coroutine_handle<> reader = std::exchange(reader_, nullptr);
  if (inline_resumption)
    reader.resume();
  else
    loop_.ready(reader);
}

void ReadinessStream::on_output(bool inline_resumption) {
  if (!finish_output()) return;
  std::coroutine_handle<> writer = std::exchange(writer_, nullptr);
  if (inline_resumption)
    writer.resume();
  else
    loop_.ready(writer);
}

bool ReadinessStream::finish_output() {
  if (connecting_) {
    connecting_ = false;
    *write_result_ = connect_result();
    return true;
  }
  return send_pieces(*write_result_);
}

void ReadinessStream::on_cancel() {
  if (reader_) {
    if (readable_result_)
      *std::exchange(readable_result_, nullptr) = fail(ErrorCode::kCancelled);
    else
      *std::exchange(read_result_, nullptr) = fail(ErrorCode::kCancelled);
    loop_.ready(std::exchange(reader_, nullptr));
  }
  if (writer_) {
    *write_result_ = fail(ErrorCode::kCancelled);
    loop_.ready(std::exchange(writer_, nullptr));
  }
}

}  // namespace sluice::io
