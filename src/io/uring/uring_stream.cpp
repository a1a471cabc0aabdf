#include "io/uring/uring_stream.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "io/socket.h"
#include "io/uring/buffer_ring.h"
#include "io/uring/ring.h"

namespace sluice::io {

namespace {
/// In a busy turn smaller writes wait for its end and leave together, in one call: cheaper than a call each.
/// Larger ones leave at once, while what they send is in the cache; in a quiet turn all do, for nobody is to
/// wait.
constexpr size_t kDirectSendBytes = 8 * 1024;
/// Buffers of the ring that one stream may keep unread.
constexpr uint8_t kKeptOfRing = 2;
/// What one receive, submitted once, may bring before it ends and is submitted anew: bounds what comes
/// unread.
constexpr uint32_t kReceiveBytes = 64 * 1024;
/// While polling, so many reads in a row that a buffer of the ring would have held end it.
constexpr uint8_t kSmallReadsBeforeRing = 8;
}  // namespace

std::unique_ptr<UringStream> UringStream::adopt(UringLoop& loop, int descriptor, const Address& peer) {
  send_without_delay(descriptor);
  std::unique_ptr<UringStream> stream(new UringStream(loop, descriptor, peer));
  stream->listen();
  return stream;
}

Result<std::unique_ptr<UringStream>> UringStream::start_connect(UringLoop& loop, const Address& address) {
  auto descriptor = open_connecting_socket(address);
  if (!descriptor) return std::unexpected(descriptor.error());
  send_without_delay(*descriptor);
  return std::unique_ptr<UringStream>(new UringStream(loop, *descriptor, address));
}

UringStream::~UringStream() {
  assert(!reader_ && !writer_);
  // TCP would reset over bytes that nobody has read, had they stayed in the socket (RFC 9112, section 9.6).
  if (kept_) reset_on_close(descriptor_);
  while (kept_) take_kept().release();
  loop_.remove(slot_);
  close(descriptor_);
}

// --- Receiving

/// Submits what tells of the next arrival, unless that is in flight.
void UringStream::listen() {
  if (loop_.in_flight(slot_, Operation::kReceive)) return;
  if (over() || polling_) {
    // After the peer's end only the connection's own end is news. POLLERR, POLLHUP and POLLRDHUP are reported
    // always, each once.
    if (error_ || broken_ || loop_.in_flight(slot_, Operation::kPoll)) return;
    return poll_for(end_ ? 0 : POLLIN);
  }
  io_uring_sqe& entry = loop_.prepare(slot_, Operation::kReceive);
  entry.opcode = IORING_OP_RECV;
  entry.fd = descriptor_;
  entry.ioprio = IORING_RECV_MULTISHOT;
  entry.flags = IOSQE_BUFFER_SELECT;
  entry.buf_group = BufferRing::kGroup;
  if (loop_.caps_receives()) entry.file_index = kReceiveBytes;  // `optlen` in newer headers
}

void UringStream::poll_for(uint32_t events) {
  io_uring_sqe& entry = loop_.prepare(slot_, Operation::kPoll);
  entry.opcode = IORING_OP_POLL_ADD;
  entry.fd = descriptor_;
  entry.poll32_events = events;
  entry.len = IORING_POLL_ADD_MULTI;
}

void UringStream::use_polling() {
  if (polling_) return;
  polling_ = true;
  readable_ = false;  // the poll begins by saying what there is
  small_reads_ = 0;
  read_size_.reset();
  if (loop_.in_flight(slot_, Operation::kReceive)) loop_.cancel(slot_, Operation::kReceive);
}

void UringStream::use_ring() {
  polling_ = false;
  if (loop_.in_flight(slot_, Operation::kPoll)) loop_.cancel(slot_, Operation::kPoll);
  listen();
}

void UringStream::on_completion(Operation operation, int result, uint32_t flags) {
  switch (operation) {
    case Operation::kReceive:
      return on_received(result, flags);
    case Operation::kPoll:
      return on_polled(result);
    case Operation::kSend:
      return on_sent(result);
    default:
      return on_connected(result);
  }
}

void UringStream::on_received(int result, uint32_t flags) {
  bool arrived = true;
  if (result > 0) {
    Buffer* buffer = loop_.lent().take(flags >> IORING_CQE_BUFFER_SHIFT, static_cast<uint32_t>(result));
    if (buffer->size == buffer->capacity) use_polling();
    keep(buffer);
  } else if (result == 0) {
    end();
  } else if (result == -EINVAL && loop_.caps_receives()) {
    loop_.cap_no_receives();
    arrived = false;
  } else if (result == -ENOBUFS) {
    use_polling();
    arrived = false;
  } else if (result == -ECANCELED || result == -EINTR || result == -EAGAIN) {
    arrived = false;
  } else {
    error_ = -result;
  }
  if (!(flags & IORING_CQE_F_MORE)) listen();
  if (arrived) tell(error_ != 0);
}

void UringStream::on_polled(int result) {
  auto events = static_cast<uint32_t>(std::max(result, 0));
  if (events & (POLLHUP | POLLERR)) broken_ = true;
  if (events & (POLLRDHUP | POLLHUP | POLLERR)) hung_up_ = true;
  listen();
  if (end_ ? !broken_ : !polling_) return;  // known, or the receive in flight tells the same
  if (!events) return;                      // cancelled
  readable_ = true;
  // What the poll tells of may have been fetched already: an idle connection must not wake.
  unsure_ = fetched_at_ >= loop_.turn_before();
  if (unsure_ && !read_result_ && !fetchable()) return;
  tell(events & (POLLHUP | POLLERR));
}

/// Something has come: the reader gets it, or else the observer hears of it. The stream may be gone
/// afterwards.
void UringStream::tell(bool broken) {
  if (!reader_) {
    if (observer_) observer_->on_disturbed(broken);
    return;
  }
  if (readable_result_) {
    *std::exchange(readable_result_, nullptr) = {};
  } else {
    if (!try_read(*read_result_)) return;
    read_result_ = nullptr;
  }
  std::exchange(reader_, nullptr).resume();
}

void UringStream::keep(Buffer* buffer) {
  if (last_kept_ && last_kept_->owner == &loop_.buffers() &&
      last_kept_->capacity - last_kept_->size >= buffer->size) {
    std::memcpy(last_kept_->data() + last_kept_->size, buffer->data(), buffer->size);
    last_kept_->size += buffer->size;
    return loop_.lent().give_back(buffer);
  }
  if (kept_lent_ < kKeptOfRing) {
    ++kept_lent_;
  } else {
    // The kernel has gone on before it heard of the cancel. The ring is everybody's: not for what lies here.
    use_polling();
    Buffer* own = loop_.buffers().take(true);
    std::memcpy(own->data(), buffer->data(), buffer->size);
    own->size = buffer->size;
    loop_.lent().give_back(buffer);
    buffer = own;
  }
  buffer->next = nullptr;
  (kept_ ? last_kept_->next : kept_) = buffer;
  last_kept_ = buffer;
}

Lease UringStream::take_kept() {
  Buffer* buffer = kept_;
  kept_ = buffer->next;
  if (!kept_) last_kept_ = nullptr;
  if (buffer->owner == &loop_.lent()) --kept_lent_;
  return Lease(buffer, buffer->size);
}

bool UringStream::try_read(Result<Lease>& result) {
  if (!unread_.empty()) {
    result = std::move(unread_);
    return true;
  }
  if (cancelled()) {
    result = fail(ErrorCode::kCancelled);
    return true;
  }
  if (kept_) {
    Lease lease = take_kept();
    bytes_read_ += lease.size();
    result = std::move(lease);
    return true;
  }
  if (error_) {
    result = std::unexpected(error_from_errno(error_));
    return true;
  }
  if (end_) {
    result = Lease();
    return true;
  }
  if (!polling_ || !readable_ || loop_.in_flight(slot_, Operation::kReceive)) return false;
  return fetch(result);
}

bool UringStream::fetch(Result<Lease>& result) {
  Buffer* buffer = loop_.buffers().take(read_size_.large());
  ssize_t n = socket_receive(descriptor_, buffer->data(), buffer->capacity);
  Lease lease(buffer, static_cast<uint32_t>(std::max<ssize_t>(n, 0)));
  if (n > 0) {
    bytes_read_ += static_cast<uint64_t>(n);
    auto bytes = static_cast<uint32_t>(n);
    fetched_at_ = loop_.now();
    bool full = bytes == buffer->capacity;
    if (!full && !hung_up_) readable_ = false;
    unsure_ = full;
    read_size_.note(bytes, buffer->capacity);
    small_reads_ = bytes < BufferRing::kBytes ? small_reads_ + 1 : 0;
    if (small_reads_ == kSmallReadsBeforeRing && !hung_up_) use_ring();
    result = std::move(lease);
    return true;
  }
  if (n < 0 && errno == EAGAIN) {
    readable_ = false;
    return false;
  }
  if (n < 0)
    error_ = errno;
  else
    end();
  return try_read(result);
}

/// Whether a fetch is allowed and would return at once.
bool UringStream::fetchable() {
  if (!polling_ || loop_.in_flight(slot_, Operation::kReceive)) return false;
  if (readable_ && unsure_ && !hung_up_) {
    unsure_ = false;
    readable_ = socket_has_input(descriptor_);
  }
  return readable_;
}

bool UringStream::try_readable(Result<>& result) {
  result = {};
  if (!unread_.empty() || kept_ || over()) return true;
  if (fetchable()) return true;
  if (!cancelled()) return false;
  result = fail(ErrorCode::kCancelled);
  return true;
}

void UringStream::wait_read(std::coroutine_handle<> waiter, Result<Lease>* result) {
  assert(!reader_);
  reader_ = waiter;
  read_result_ = result;
}

void UringStream::wait_readable(std::coroutine_handle<> waiter, Result<>* result) {
  assert(!reader_);
  reader_ = waiter;
  readable_result_ = result;
}

// --- Sending

bool UringStream::try_write(std::span<const iovec> pieces, Result<>& result) {
  if (cancelled()) {
    result = fail(ErrorCode::kCancelled);
    return true;
  }
  pieces_ = pieces;
  pieces_done_ = 0;
  return send_now(result);
}

/// Linux tells of a reset once, to whoever comes first, and of a plain end from then on: what was cut short
/// must not look whole to the reader.
Error UringStream::send_error(int system) {
  if (system == ECONNRESET) reset_ = true;
  return error_from_errno(system);
}

/// The end, or what looks like one.
void UringStream::end() {
  if (reset_)
    error_ = ECONNRESET;
  else
    end_ = true;
}

/// The first piece that is not out yet; `within`: how much of it is.
size_t UringStream::skip_sent(size_t& within) const {
  size_t piece = 0;
  within = pieces_done_;
  while (piece < pieces_.size() && within >= pieces_[piece].iov_len) within -= pieces_[piece++].iov_len;
  return piece;
}

bool UringStream::send_now(Result<>& result) {
  size_t total = 0;
  for (const iovec& piece : pieces_) total += piece.iov_len;
  result = {};
  if (total == 0) return true;
  if (total < kDirectSendBytes && loop_.busy()) return false;
  ssize_t n = socket_send(descriptor_, pieces_);
  if (n < 0) {
    if (errno == EAGAIN) return false;
    result = std::unexpected(send_error(errno));
    return true;
  }
  bytes_written_ += static_cast<uint64_t>(n);
  pieces_done_ = static_cast<size_t>(n);
  return pieces_done_ == total;
}

void UringStream::wait_write(std::coroutine_handle<> waiter, Result<>* result) {
  assert(!writer_);
  writer_ = waiter;
  write_result_ = result;
  submit_send();
}

void UringStream::submit_send() {
  size_t within;
  size_t piece = skip_sent(within);
  io_uring_sqe& entry = loop_.prepare(slot_, Operation::kSend);
  entry.fd = descriptor_;
  entry.msg_flags = MSG_NOSIGNAL;
  if (within > 0 || piece + 1 == pieces_.size()) {  // the rest of one piece, then the others
    entry.opcode = IORING_OP_SEND;
    entry.addr = reinterpret_cast<uint64_t>(pieces_[piece].iov_base) + within;
    entry.len = static_cast<uint32_t>(pieces_[piece].iov_len - within);
    return;
  }
  msghdr& message = loop_.ring().message_of(entry);
  message = {};
  message.msg_iov = const_cast<iovec*>(&pieces_[piece]);
  message.msg_iovlen = pieces_.size() - piece;
  entry.opcode = IORING_OP_SENDMSG;
  entry.addr = reinterpret_cast<uint64_t>(&message);
  entry.len = 1;
}

void UringStream::on_sent(int result) {
  if (result > 0) {
    bytes_written_ += static_cast<uint32_t>(result);
    pieces_done_ += static_cast<uint32_t>(result);
  }
  if (cancelled_) {
    *write_result_ = fail(ErrorCode::kCancelled);
  } else if (result < 0 && result != -EINTR && result != -EAGAIN) {
    *write_result_ = std::unexpected(send_error(-result));
  } else {
    size_t within;
    if (skip_sent(within) < pieces_.size()) return submit_send();
    *write_result_ = {};
  }
  finish_write();
}

void UringStream::wait_connected(std::coroutine_handle<> waiter, Result<>* result) {
  assert(!writer_);
  writer_ = waiter;
  write_result_ = result;
  io_uring_sqe& entry = loop_.prepare(slot_, Operation::kConnect);
  entry.opcode = IORING_OP_POLL_ADD;
  entry.fd = descriptor_;
  entry.poll32_events = POLLOUT;
}

void UringStream::on_connected(int) {
  if (cancelled_) {
    *write_result_ = fail(ErrorCode::kCancelled);
  } else {
    *write_result_ = connect_outcome(descriptor_);
    if (*write_result_) listen();
  }
  finish_write();
}

void UringStream::finish_write() {
  cancelled_ = false;
  std::exchange(writer_, nullptr).resume();
}

/// A reader's memory is not the kernel's, so it need not wait. A writer's is until its operation's
/// completion.
void UringStream::on_cancel() {
  if (reader_) {
    if (readable_result_)
      *std::exchange(readable_result_, nullptr) = fail(ErrorCode::kCancelled);
    else
      *std::exchange(read_result_, nullptr) = fail(ErrorCode::kCancelled);
    loop_.ready(std::exchange(reader_, nullptr));
  }
  if (writer_ && !cancelled_) {
    cancelled_ = true;
    for (auto operation : {Operation::kSend, Operation::kConnect})
      if (loop_.in_flight(slot_, operation)) loop_.cancel(slot_, operation);
  }
}

void UringStream::shutdown_write() { shutdown(descriptor_, SHUT_WR); }

void UringStream::abort() { reset_on_close(descriptor_); }

Address UringStream::local() const { return local_address(descriptor_); }

Duration UringStream::input_age() const { return socket_input_age(descriptor_); }

bool UringStream::dirty() { return kept_ || over() || hung_up_ || !unread_.empty() || fetchable(); }

}  // namespace sluice::io
