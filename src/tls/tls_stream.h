// TlsStream: TLS over another stream, whatever carries that one; OpenSSL reads and writes memory only. What
// came encrypted is decrypted from the lent buffers it lies in; what leaves is gathered and written at once.
#pragma once

#include <coroutine>
#include <memory>

#include "io/loop.h"
#include "io/stream.h"
#include "tls/connection_security.h"
#include "tls/handshake_error.h"

struct ssl_st;
struct bio_st;

namespace sluice::tls {

/// Its `peer`, `local` and `input_age` are those of the stream below. The end is `close_notify` (RFC 8446,
/// section 6.1): where that is missing, reading ends with kReset, for what was cut short must not look whole.
/// While it waits in `readable` it holds no buffer, neither a lent one nor OpenSSL's own.
class TlsStream final : public io::Stream, private io::Stream::Observer {
 public:
  /// Takes over `ssl`, whose role (server or client) is set.
  TlsStream(io::Loop& loop, std::unique_ptr<io::Stream> below, ssl_st* ssl);
  ~TlsStream() override;

  /// Before anything else. Ends early when the token that the stream is bound to is cancelled. When it
  /// failed, the alert that says why has been sent as far as possible, and the stream is good for nothing.
  io::Task<std::expected<void, HandshakeError>> handshake();

  /// Complete once the handshake is done.
  const ConnectionSecurity* security() const override { return &security_; }
  /// What it will carry is not named by ALPN: none of the client's protocols is chosen, and none refused.
  void ignore_protocols() { ignores_protocols_ = true; }
  bool ignores_protocols() const { return ignores_protocols_; }
  /// The handshake is a CA's look at a challenge: kChallengeProtocol is chosen.
  void answer_challenge() { answers_challenge_ = true; }
  bool answers_challenge() const { return answers_challenge_; }
  /// As a client, before the handshake: whatever its context offers by ALPN, this one does not.
  void offer_no_protocol();
  /// For whoever takes part in the handshake.
  ConnectionSecurity& mutable_security() { return security_; }
  ssl_st* ssl() const { return ssl_; }

  void shutdown_write() override;
  void abort() override;
  bool dirty() override;
  bool peer_ended() const override { return below_->peer_ended(); }
  io::Address peer() const override { return below_->peer(); }
  io::Address local() const override { return below_->local(); }
  Duration input_age() const override { return below_->input_age(); }

 private:
  class Bio;
  class Pump;
  struct Aside;

  bool try_read(io::Result<io::Lease>& result) override;
  bool try_readable(io::Result<>& result) override;
  bool try_write(std::span<const iovec> pieces, io::Result<>& result) override;
  void wait_read(std::coroutine_handle<> waiter, io::Result<io::Lease>* result) override;
  void wait_readable(std::coroutine_handle<> waiter, io::Result<>* result) override;
  void wait_write(std::coroutine_handle<> waiter, io::Result<>* result) override;
  void on_cancel() override;
  void on_disturbed(bool broken) override;

  // Reading.
  Pump pump_read(std::coroutine_handle<> waiter, io::Result<io::Lease>* result);
  Pump pump_readable(std::coroutine_handle<> waiter, io::Result<>* result);
  bool take_input(io::Result<io::Lease>&& input);
  bool decrypt(io::Result<io::Lease>& result);
  void on_read_failure(int code);
  bool over() const { return ended_ || broken_; }
  bool look_ahead();

  // Writing.
  Pump pump_write(std::coroutine_handle<> waiter, io::Result<>* result);
  bool encrypt();
  bool write_on(io::Result<>& result);
  bool note_written(const io::Result<>& written, io::Result<>& result);
  size_t gather(char* scratch, const char*& from);
  void advance(size_t bytes);
  io::Buffer& output();
  void release_output();

  // What leaves although nobody waits for it: an alert, the end.
  void send_aside();
  Pump pump_aside();
  void send_end();

  void follow_cancellation();
  void settle_security();

  io::Loop& loop_;
  std::unique_ptr<io::Stream> below_;
  io::CancelToken below_token_;  // `below_` is bound to it: cancelled as ours is, and reset when ours changes
  ssl_st* ssl_;
  ConnectionSecurity security_;
  io::Lease input_;                        // encrypted bytes that OpenSSL has not taken
  io::Buffer* output_ = nullptr;           // encrypted bytes that are not out
  Aside* aside_ = nullptr;                 // of the aside on its way
  std::span<const iovec> pieces_;          // of a write that waits
  size_t piece_done_ = 0;                  // bytes of the first of `pieces_` that are encrypted
  iovec output_piece_{};                   // what the stream below writes
  uint32_t encrypted_ = 0;                 // plain bytes in `output_`
  std::coroutine_handle<> queued_writer_;  // waits for the aside
  io::Result<>* queued_result_ = nullptr;
  bool reading_ = false;  // somebody waits
  bool writing_ = false;  // likewise
  bool client_ = false;
  bool established_ = false;
  bool ignores_protocols_ = false;
  bool answers_challenge_ = false;
  bool ended_ = false;       // the peer's close_notify has come
  bool broken_ = false;      // no more can be read; `read_error_` says why
  bool shut_ = false;        // our close_notify is encrypted
  bool unwritable_ = false;  // a record may be out in part: nothing can follow it
  io::Error read_error_{};
};

}  // namespace sluice::tls
