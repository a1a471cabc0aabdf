#include "http/h2/tunnel_stream.h"

namespace sluice::http::h2 {

// --- reading ---

bool TunnelStream::try_read(io::Result<io::Lease>& result) {
  if (has_unread()) {
    result = std::move(unread_);
    return true;
  }
  if (cancelled()) {
    result = io::fail(io::ErrorCode::kCancelled);
    return true;
  }
  std::expected<io::Lease, Error> lease;
  if (!incoming_.try_lease(lease)) return false;
  if (lease) {
    bytes_read_ += lease->size();
    result = std::move(*lease);
  } else {
    result = io::fail(io::ErrorCode::kReset);
  }
  return true;
}

bool TunnelStream::try_readable(io::Result<>& result) {
  if (has_input()) return true;
  if (!cancelled()) return false;
  result = io::fail(io::ErrorCode::kCancelled);
  return true;
}

void TunnelStream::wait_read(std::coroutine_handle<> waiter, io::Result<io::Lease>* result) {
  reader_ = waiter;
  read_result_ = result;
}

void TunnelStream::wait_readable(std::coroutine_handle<> waiter, io::Result<>* result) {
  reader_ = waiter;
  readable_result_ = result;
}

void TunnelStream::on_incoming() {
  if (!reader_) return;
  bool done = read_result_ ? try_read(*read_result_) : try_readable(*readable_result_);
  if (done) resume_reader();
}

void TunnelStream::resume_reader() {
  read_result_ = nullptr;
  readable_result_ = nullptr;
  loop_.ready(std::exchange(reader_, nullptr));
}

// --- writing ---

bool TunnelStream::try_write(std::span<const iovec> pieces, io::Result<>& result) {
  if (write_ended_) {
    result = io::fail(io::ErrorCode::kClosed);
    return true;
  }
  if (cancelled() || of_.broken()) {
    result = io::fail(cancelled() ? io::ErrorCode::kCancelled : io::ErrorCode::kReset);
    return true;
  }
  pieces_ = pieces;
  while (!pieces_.empty() && pieces_.front().iov_len == 0) pieces_ = pieces_.subspan(1);
  return pieces_.empty();
}

void TunnelStream::wait_write(std::coroutine_handle<> waiter, io::Result<>* result) {
  writer_ = waiter;
  write_result_ = result;
  offer_next();
}

void TunnelStream::offer_next() {
  const iovec& piece = pieces_.front();
  of_.offer_bytes({static_cast<const char*>(piece.iov_base), piece.iov_len}, false);
  bytes_written_ += piece.iov_len;
  pieces_ = pieces_.subspan(1);
}

/// Nothing of a write may be in a batch when it returns, for what it points to may go then.
void TunnelStream::on_sent() {
  if (!writer_ || of_.in_batch()) return;
  if (cancelled()) return resume_writer(io::fail(io::ErrorCode::kCancelled));
  if (of_.broken()) return resume_writer(io::fail(io::ErrorCode::kReset));
  if (!of_.all_offered_sent()) return;
  while (!pieces_.empty() && pieces_.front().iov_len == 0) pieces_ = pieces_.subspan(1);
  if (pieces_.empty()) return resume_writer({});
  offer_next();
}

void TunnelStream::resume_writer(io::Result<> result) {
  if (!result) of_.take_back();
  *write_result_ = result;
  loop_.ready(std::exchange(writer_, nullptr));
}

void TunnelStream::shutdown_write() {
  if (std::exchange(write_ended_, true) || of_.broken()) return;
  of_.offer_bytes({}, true);
}

void TunnelStream::abort() { of_.cancel_stream(); }

void TunnelStream::on_cancel() {
  if (reader_) {
    if (read_result_)
      *read_result_ = io::fail(io::ErrorCode::kCancelled);
    else
      *readable_result_ = io::fail(io::ErrorCode::kCancelled);
    resume_reader();
  }
  on_sent();
}

}  // namespace sluice::http::h2
