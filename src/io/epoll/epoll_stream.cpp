#include "io/epoll/epoll_stream.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "io/socket.h"

namespace sluice::io {

namespace {
constexpr uint8_t kFullReadsBeforeLarge = 2;
/// A read this short says that the transfers on this connection are small again. Between it and a full one
/// nothing is known: the last read of a large body is seldom full.
constexpr uint32_t kSmallReadBytes = BufferPool::kSmallBytes / 4;
constexpr size_t kMaxPieces = 16;
}  // namespace

Result<std::unique_ptr<EpollStream>> EpollStream::adopt(EpollLoop& loop, int descriptor,
                                                        const Address& peer) {
  send_without_delay(descriptor);
  std::unique_ptr<EpollStream> stream(new EpollStream(loop, descriptor, peer));
  auto watched = loop.watch(descriptor, *stream, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
  if (!watched) return std::unexpected(watched.error());
  return stream;
}

Result<std::unique_ptr<EpollStream>> EpollStream::start_connect(EpollLoop& loop, const Address& address) {
  auto descriptor = open_connecting_socket(address);
  if (!descriptor) return std::unexpected(descriptor.error());
  auto stream = adopt(loop, *descriptor, address);
  if (stream) (*stream)->connecting_ = true;
  return stream;
}

EpollStream::~EpollStream() {
  assert(!reader_ && !writer_);
  loop_.forget(*this);
  close(descriptor_);
}

bool EpollStream::try_read(Result<Lease>& result) {
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
  Buffer* buffer = loop_.buffers().take(full_reads_ >= kFullReadsBeforeLarge);
  ssize_t n;
  do n = recv(descriptor_, buffer->data(), buffer->capacity, 0);
  while (n < 0 && errno == EINTR);
  Lease lease(buffer, static_cast<uint32_t>(std::max<ssize_t>(n, 0)));
  if (n > 0) {
    bytes_read_ += static_cast<uint64_t>(n);
    bool full = static_cast<uint32_t>(n) == buffer->capacity;
    if (!full && !hung_up_) readable_ = false;
    if (full)
      full_reads_ = std::min<uint8_t>(full_reads_ + 1, kFullReadsBeforeLarge);
    else if (static_cast<uint32_t>(n) < kSmallReadBytes)
      full_reads_ = 0;
    result = std::move(lease);
    return true;
  }
  if (n == 0) {
    ended_ = true;
    result = Lease();
    return true;
  }
  if (errno == EAGAIN) {
    readable_ = false;
    return false;
  }
  result = std::unexpected(error_from_errno(errno));
  return true;
}

bool EpollStream::try_readable(Result<>& result) {
  result = {};
  if (!unread_.empty() || readable_ || ended_) return true;
  if (!cancelled()) return false;
  result = fail(ErrorCode::kCancelled);
  return true;
}

bool EpollStream::try_write(std::span<const iovec> pieces, Result<>& result) {
  if (cancelled()) {
    result = fail(ErrorCode::kCancelled);
    return true;
  }
  pieces_ = pieces;
  pieces_done_ = 0;
  return send_pieces(result);
}

bool EpollStream::send_pieces(Result<>& result) {
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
    ssize_t n;
    if (count == 1) {
      n = send(descriptor_, rest[0].iov_base, rest[0].iov_len, MSG_NOSIGNAL);
    } else {
      msghdr message{};
      message.msg_iov = rest;
      message.msg_iovlen = count;
      n = sendmsg(descriptor_, &message, MSG_NOSIGNAL);
    }
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) return false;
      result = std::unexpected(error_from_errno(errno));
      return true;
    }
    bytes_written_ += static_cast<uint64_t>(n);
    pieces_done_ += static_cast<size_t>(n);
    if (static_cast<size_t>(n) < total) return false;  // the next edge says when there is room again
  }
}

void EpollStream::wait_read(std::coroutine_handle<> waiter, Result<Lease>* result) {
  assert(!reader_);
  reader_ = waiter;
  read_result_ = result;
}

void EpollStream::wait_readable(std::coroutine_handle<> waiter, Result<>* result) {
  assert(!reader_);
  reader_ = waiter;
  readable_result_ = result;
}

void EpollStream::wait_write(std::coroutine_handle<> waiter, Result<>* result) {
  wait_writer(waiter, result);
}

void EpollStream::wait_writer(std::coroutine_handle<> waiter, Result<>* result) {
  assert(!writer_);
  writer_ = waiter;
  write_result_ = result;
}

void EpollStream::on_events(uint32_t events) {
  // Output first: resuming the reader may end and destroy the stream.
  bool input = events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR);
  if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) hung_up_ = true;
  if (input) readable_ = true;
  if (writer_ && (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))) {
    if (!reader_ || !input) return on_output();
    // Both wait. The writer goes by way of the queue, for the stream may be gone once the first was resumed.
    on_output_queued();
  }
  if (!input) return;
  if (reader_) return on_input();
  if (observer_) observer_->on_disturbed(events & (EPOLLHUP | EPOLLERR));
}

void EpollStream::on_input() {
  if (readable_result_) {
    *std::exchange(readable_result_, nullptr) = {};
  } else {
    if (!try_read(*read_result_)) return;
    read_result_ = nullptr;
  }
  std::exchange(reader_, nullptr).resume();
}

bool EpollStream::finish_output() {
  if (connecting_) {
    connecting_ = false;
    *write_result_ = connect_outcome(descriptor_);
    return true;
  }
  return send_pieces(*write_result_);
}

void EpollStream::on_output() {
  if (finish_output()) std::exchange(writer_, nullptr).resume();
}

void EpollStream::on_output_queued() {
  if (finish_output()) loop_.ready(std::exchange(writer_, nullptr));
}

void EpollStream::on_cancel() {
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

void EpollStream::shutdown_write() { shutdown(descriptor_, SHUT_WR); }

void EpollStream::abort() { reset_on_close(descriptor_); }

bool EpollStream::dirty() { return readable_ || hung_up_ || ended_ || !unread_.empty(); }

}  // namespace sluice::io
