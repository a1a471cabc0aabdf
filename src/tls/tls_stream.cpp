#include "tls/tls_stream.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <optional>

#include "tls/challenge_certificates.h"
#include "tls/openssl.h"
#include "tls/peer_identity.h"
#include "tls/tls_stream_parts.h"

namespace sluice::tls {

namespace {

/// From so much encrypted input on the larger buffer is taken: beside the input a record that came before in
/// part may end.
constexpr size_t kLargeInputBytes = io::BufferPool::kSmallBytes - kSealedRecordBytes;
/// How long the last bytes of a stream that is gone may take to leave.
constexpr Duration kLastBytesTime = std::chrono::seconds(2);

}  // namespace

/// OpenSSL's way in and out: takes from `input_`, puts into `output_`.
class TlsStream::Bio {
 public:
  static BIO* of(TlsStream& stream) {
    static BIO_METHOD* const method = make_method();
    BIO* bio = BIO_new(method);
    BIO_set_data(bio, &stream);
    BIO_set_init(bio, 1);
    return bio;
  }

 private:
  static BIO_METHOD* make_method() {
    BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream");
    BIO_meth_set_read_ex(method, read);
    BIO_meth_set_write_ex(method, write);
    BIO_meth_set_ctrl(method, control);
    return method;
  }
  static TlsStream& stream_of(BIO* bio) { return *static_cast<TlsStream*>(BIO_get_data(bio)); }

  static int read(BIO* bio, char* to, size_t room, size_t* taken) {
    BIO_clear_retry_flags(bio);
    io::Lease& input = stream_of(bio).input_;
    std::string_view bytes = input.bytes().substr(0, room);
    if (bytes.empty()) {
      BIO_set_retry_read(bio);
      return 0;
    }
    std::memcpy(to, bytes.data(), bytes.size());
    *taken = bytes.size();
    input.consume(bytes.size());
    if (input.empty()) input.release();
    return 1;
  }
  static int write(BIO* bio, const char* from, size_t size, size_t* taken) {
    BIO_clear_retry_flags(bio);
    io::Buffer& output = stream_of(bio).output();
    size_t count = std::min<size_t>(size, output.capacity - output.size);
    if (count == 0) {
      BIO_set_retry_write(bio);
      return 0;
    }
    std::memcpy(output.data() + output.size, from, count);
    output.size += static_cast<uint32_t>(count);
    *taken = count;
    return 1;
  }
  static long control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }
};

TlsStream::TlsStream(io::Loop& loop, std::unique_ptr<io::Stream> below, ssl_st* ssl)
    : loop_(loop), below_(std::move(below)), ssl_(ssl), client_(!SSL_is_server(ssl)) {
  BIO* bio = Bio::of(*this);
  SSL_set_bio(ssl_, bio, bio);
  SSL_set_mode(ssl_, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_set_app_data(ssl_, this);
  below_->bind(below_token_);
  below_->observe(this);
}

void TlsStream::offer_no_protocol() { SSL_set_alpn_protos(ssl_, nullptr, 0); }

TlsStream::~TlsStream() {
  assert(!reading_ && !writing_);
  unbind();
  follow_cancellation();
  observer_ = nullptr;
  // As TCP does it: who closes over bytes that nobody has read breaks the connection.
  if (!unread_.empty() || !input_.empty()) abort();
  if (established_ && !shut_ && !unwritable_ && !broken_) send_end();
  SSL_free(ssl_);
  release_output();
  if (!aside_) return;
  below_->observe(nullptr);
  aside_->owner = nullptr;
  below_->bind(aside_->token);
  aside_->deadline.emplace(loop_, loop_.now() + (unwritable_ ? Duration::zero() : kLastBytesTime),
                           aside_->token);
  aside_->orphan = std::move(below_);
}

/// The token that the stream is bound to may have become another one, or be used again.
void TlsStream::follow_cancellation() {
  if (below_token_.cancelled() && !cancelled()) below_token_.reset();
}

void TlsStream::on_cancel() { below_token_.cancel(io::CancelReason::kShed); }

// --- The handshake

io::Task<std::expected<void, HandshakeError>> TlsStream::handshake() {
  auto broken = [](const io::Error& error) {
    bool cancelled = error.code == io::ErrorCode::kCancelled;
    return std::unexpected(
        HandshakeError{cancelled ? HandshakeFailure::kTimeout : HandshakeFailure::kClosed,
                       std::string(cancelled ? "not done in time" : io::error_text(error.code))});
  };
  for (;;) {
    ERR_clear_error();
    int outcome = SSL_do_handshake(ssl_);
    int code = SSL_get_error(ssl_, outcome);
    std::optional<HandshakeError> failed;
    if (outcome != 1 && code != SSL_ERROR_WANT_READ && code != SSL_ERROR_WANT_WRITE)
      failed = take_handshake_error(ssl_);
    io::Result<> flushed;
    if (output_) {
      output_piece_ = {output_->data(), output_->size};
      flushed = co_await below_->write({&output_piece_, 1});
      release_output();
    }
    if (failed) co_return std::unexpected(std::move(*failed));
    if (!flushed) co_return broken(flushed.error());
    if (outcome == 1) break;
    if (code == SSL_ERROR_WANT_WRITE) continue;
    auto input = co_await below_->read();
    if (!input) co_return broken(input.error());
    if (input->empty())
      co_return std::unexpected(HandshakeError{HandshakeFailure::kClosed, "the peer closed the connection"});
    input_ = std::move(*input);
  }
  established_ = true;
  settle_security();
  co_return std::expected<void, HandshakeError>();
}

void TlsStream::settle_security() {
  security_.version = SSL_get_version(ssl_);
  security_.cipher = SSL_get_cipher_name(ssl_);
  const unsigned char* protocol = nullptr;
  unsigned length = 0;
  SSL_get0_alpn_selected(ssl_, &protocol, &length);
  std::string_view selected(reinterpret_cast<const char*>(protocol), length);
  for (std::string_view known : {std::string_view("http/1.1"), std::string_view("h2"), kChallengeProtocol})
    if (selected == known) security_.protocol = known;
  security_.resumed = SSL_session_reused(ssl_);
  if (!client_) security_.peer = verified_peer(ssl_);
}

// --- Reading

/// Encrypted bytes, the end or an error from below. False: the wait was cancelled, and nothing has changed.
bool TlsStream::take_input(io::Result<io::Lease>&& input) {
  if (input && !input->empty()) {
    input_ = std::move(*input);
    return true;
  }
  if (!input && input.error().code == io::ErrorCode::kCancelled) return false;
  if (over()) return true;
  // An end without close_notify: whatever it cut short must not look whole.
  broken_ = true;
  read_error_ = input ? io::Error{io::ErrorCode::kReset} : input.error();
  return true;
}

/// True: `result` is plain bytes, the end or an error. False: the record has not come whole.
bool TlsStream::decrypt(io::Result<io::Lease>& result) {
  io::Buffer* buffer = nullptr;
  size_t filled = 0;
  size_t room = 0;
  bool at_hand = !input_.empty() || SSL_has_pending(ssl_);
  while (at_hand && !over()) {
    if (!buffer) {
      buffer = loop_.buffers().take(input_.size() > kLargeInputBytes);
      room = buffer->capacity;
    }
    ERR_clear_error();
    size_t count = 0;
    int outcome = SSL_read_ex(ssl_, buffer->data() + filled, room - filled, &count);
    if (outcome == 1) {
      filled += count;
      at_hand = filled < room && (!input_.empty() || SSL_has_pending(ssl_));
      continue;
    }
    int code = SSL_get_error(ssl_, outcome);
    if (code == SSL_ERROR_WANT_READ) break;
    on_read_failure(code);
  }
  io::Lease lease(buffer, static_cast<uint32_t>(filled));
  if (output_ && !writing_ && !aside_) send_aside();
  if (filled > 0) {
    bytes_read_ += filled;
    result = std::move(lease);
    return true;
  }
  if (!over()) return false;
  if (ended_)
    result = io::Lease();
  else
    result = std::unexpected(read_error_);
  return true;
}

void TlsStream::on_read_failure(int code) {
  if (code == SSL_ERROR_ZERO_RETURN) {
    ended_ = true;
    return;
  }
  // A record that is forged or malformed, or the peer's fatal alert: it is as if the network had broken it.
  ERR_clear_error();
  broken_ = true;
  read_error_ = {io::ErrorCode::kReset};
  input_.release();
}

bool TlsStream::try_read(io::Result<io::Lease>& result) {
  if (!unread_.empty()) {
    result = std::move(unread_);
    return true;
  }
  if (cancelled()) {
    result = io::fail(io::ErrorCode::kCancelled);
    return true;
  }
  follow_cancellation();
  for (;;) {
    if (decrypt(result)) return true;
    auto input = below_->read();
    if (!input.await_ready() || !take_input(input.await_resume())) return false;
  }
}

void TlsStream::wait_read(std::coroutine_handle<> waiter, io::Result<io::Lease>* result) {
  pump_read(waiter, result);
}

TlsStream::Pump TlsStream::pump_read(std::coroutine_handle<> waiter, io::Result<io::Lease>* result) {
  reading_ = true;
  for (;;) {
    auto input = co_await below_->read();
    if (!take_input(std::move(input))) {
      *result = io::fail(io::ErrorCode::kCancelled);
      break;
    }
    if (decrypt(*result)) break;
  }
  reading_ = false;
  co_return waiter;
}

/// Decrypts what is at hand, without waiting. True: a read would return at once.
bool TlsStream::look_ahead() {
  if (!unread_.empty()) return true;
  follow_cancellation();
  for (;;) {
    io::Result<io::Lease> plain;
    if (decrypt(plain)) {
      if (plain) unread_ = std::move(*plain);
      return true;
    }
    if (!below_->dirty()) return false;
    auto input = below_->read();
    if (!input.await_ready() || !take_input(input.await_resume())) return false;
  }
}

bool TlsStream::dirty() {
  if (reading_) return below_->dirty();
  if (look_ahead()) return true;
  if (!output_) SSL_free_buffers(ssl_);  // who asks is about to leave it idle
  return false;
}

bool TlsStream::try_readable(io::Result<>& result) {
  result = {};
  if (look_ahead()) return true;
  if (!cancelled()) return false;
  result = io::fail(io::ErrorCode::kCancelled);
  return true;
}

void TlsStream::wait_readable(std::coroutine_handle<> waiter, io::Result<>* result) {
  if (!output_) SSL_free_buffers(ssl_);
  pump_readable(waiter, result);
}

TlsStream::Pump TlsStream::pump_readable(std::coroutine_handle<> waiter, io::Result<>* result) {
  reading_ = true;
  for (;;) {
    *result = co_await below_->readable();
    if (!*result || look_ahead()) break;
    if (!cancelled()) continue;
    // What broke the stream below may have cancelled us before we got here: it stays readable, and gives
    // nothing.
    *result = io::fail(io::ErrorCode::kCancelled);
    break;
  }
  reading_ = false;
  co_return waiter;
}

void TlsStream::on_disturbed(bool broken) {
  // An idle connection to an upstream gets session tickets, which are no reason to give it up.
  if (!established_ || (client_ && !broken && !reading_ && !look_ahead())) return;
  if (observer_) observer_->on_disturbed(broken);
}

}  // namespace sluice::tls
