// The sending half of TlsStream: records out of what is written, the end, and what leaves although nobody
// waits.
#include <algorithm>
#include <cstring>

#include "tls/openssl.h"
#include "tls/tls_stream_parts.h"

namespace sluice::tls {

namespace {

/// A write that the stream below has begun and could not finish at once.
struct Begun {
  io::Stream::WriteAwait write;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiter) { write.await_suspend(waiter); }
  io::Result<> await_resume() { return write.await_resume(); }
};

}  // namespace

// --- Writing

io::Buffer& TlsStream::output() {
  if (!output_) {
    output_ = loop_.buffers().take(true);
    output_->size = 0;
  }
  return *output_;
}

void TlsStream::release_output() {
  if (output_) loop_.buffers().give_back(std::exchange(output_, nullptr));
}

/// The next bytes for one record: in place where a piece has enough, else what several pieces have, put
/// together in `scratch`.
size_t TlsStream::gather(char* scratch, const char*& from) {
  size_t size = 0;
  size_t skip = piece_done_;
  for (const iovec& piece : pieces_) {
    const char* bytes = static_cast<const char*>(piece.iov_base) + skip;
    size_t count = std::min(piece.iov_len - skip, kRecordBytes - size);
    bool last = &piece == &pieces_.back();
    if (size == 0 && (count == kRecordBytes || last)) {
      from = bytes;
      return count;
    }
    if (count > 0) std::memcpy(scratch + size, bytes, count);
    size += count;
    skip = 0;
    if (size == kRecordBytes) break;
  }
  from = scratch;
  return size;
}

void TlsStream::advance(size_t bytes) {
  piece_done_ += bytes;
  while (!pieces_.empty() && piece_done_ >= pieces_.front().iov_len) {
    piece_done_ -= pieces_.front().iov_len;
    pieces_ = pieces_.subspan(1);
  }
}

/// Fills the output with records of what is to be written. False: there is no more.
bool TlsStream::encrypt() {
  char scratch[kRecordBytes];
  advance(0);
  while (!pieces_.empty()) {
    io::Buffer& sealed = output();
    if (sealed.capacity - sealed.size < kSealedRecordBytes) break;
    const char* from = nullptr;
    size_t size = gather(scratch, from);
    ERR_clear_error();
    size_t count = 0;
    if (SSL_write_ex(ssl_, from, size, &count) != 1) {
      ERR_clear_error();
      unwritable_ = true;
      return false;
    }
    encrypted_ += static_cast<uint32_t>(count);
    advance(count);
  }
  return output_ != nullptr;
}

/// Goes on until all is out or it failed (true, with `result`), or until the stream below would wait.
bool TlsStream::write_on(io::Result<>& result) {
  while (!unwritable_ && encrypt()) {
    output_piece_ = {output_->data(), output_->size};
    auto write = below_->write({&output_piece_, 1});
    if (!write.await_ready()) return false;
    if (!note_written(write.await_resume(), result)) return true;
  }
  result = {};
  if (unwritable_) result = io::fail(io::ErrorCode::kReset);
  return true;
}

/// After the stream below has taken the output, or not.
bool TlsStream::note_written(const io::Result<>& written, io::Result<>& result) {
  if (!written) {
    result = written;
    unwritable_ = true;  // part of a record may be out
    release_output();
    return false;
  }
  bytes_written_ += std::exchange(encrypted_, 0);
  // What reading has added meanwhile, an alert, comes next.
  uint32_t rest = output_->size - static_cast<uint32_t>(output_piece_.iov_len);
  if (rest == 0) {
    release_output();
  } else {
    std::memmove(output_->data(), output_->data() + output_piece_.iov_len, rest);
    output_->size = rest;
  }
  return true;
}

bool TlsStream::try_write(std::span<const iovec> pieces, io::Result<>& result) {
  if (cancelled()) {
    result = io::fail(io::ErrorCode::kCancelled);
    return true;
  }
  if (shut_ || unwritable_) {
    result = io::fail(shut_ ? io::ErrorCode::kClosed : io::ErrorCode::kReset);
    return true;
  }
  follow_cancellation();
  pieces_ = pieces;
  piece_done_ = 0;
  encrypted_ = 0;
  return !aside_ && write_on(result);
}

void TlsStream::wait_write(std::coroutine_handle<> waiter, io::Result<>* result) {
  writing_ = true;
  if (aside_) {
    queued_writer_ = waiter;
    queued_result_ = result;
  } else {
    pump_write(waiter, result);
  }
}

/// After `write_on` has begun a write below that waits.
TlsStream::Pump TlsStream::pump_write(std::coroutine_handle<> waiter, io::Result<>* result) {
  for (;;) {
    Begun begun{{*below_, {&output_piece_, 1}}};
    auto written = co_await begun;
    if (!note_written(written, *result) || write_on(*result)) break;
  }
  writing_ = false;
  co_return waiter;
}

// --- The end, and what else leaves although nobody waits for it

TlsStream::Pump TlsStream::pump_aside() {
  Aside aside{.owner = this, .token = {}, .orphan = nullptr, .deadline = {}};
  aside_ = &aside;
  io::Stream& below = *below_;
  while (output_) {
    io::Lease bytes(output_, output_->size);
    output_ = nullptr;
    iovec piece{const_cast<char*>(bytes.bytes().data()), bytes.size()};
    auto sent = co_await below.write({&piece, 1});
    if (!aside.owner) co_return std::noop_coroutine();
    if (!sent) {
      unwritable_ = true;
      release_output();
    }
  }
  aside_ = nullptr;
  if (shut_) below.shutdown_write();
  if (!queued_writer_) co_return std::noop_coroutine();
  std::coroutine_handle<> waiter = std::exchange(queued_writer_, nullptr);
  io::Result<>* result = std::exchange(queued_result_, nullptr);
  bool done = true;
  if (cancelled())
    *result = io::fail(io::ErrorCode::kCancelled);
  else
    done = write_on(*result);
  if (!done) {
    pump_write(waiter, result);
    co_return std::noop_coroutine();
  }
  writing_ = false;
  co_return waiter;
}

void TlsStream::send_aside() { pump_aside(); }

/// close_notify, then the end of the stream below.
void TlsStream::send_end() {
  shut_ = true;
  ERR_clear_error();
  SSL_shutdown(ssl_);
  ERR_clear_error();
  if (!aside_) send_aside();
}

void TlsStream::shutdown_write() {
  if (shut_) return;
  follow_cancellation();
  if (established_ && !unwritable_ && !broken_) return send_end();
  shut_ = true;
  below_->shutdown_write();
}

void TlsStream::abort() {
  unwritable_ = true;
  below_->abort();
}

}  // namespace sluice::tls
