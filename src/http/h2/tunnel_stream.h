// The bytes of an HTTP/2 stream that has left HTTP (RFC 8441): DATA both ways as an io::Stream.
#pragma once

#include <span>

#include "http/h2/incoming.h"
#include "io/stream.h"

namespace sluice::http::h2 {

/// The sending half of a stream, as its tunnel needs it.
class TunnelSender {
 public:
  virtual io::Address tunnel_peer() const = 0;
  /// Goes out as the windows allow; `bytes` live until they are sent or taken back.
  virtual void offer_bytes(std::string_view bytes, bool last) = 0;
  virtual bool all_offered_sent() const = 0;
  /// Something of it is in the batch that is being written.
  virtual bool in_batch() const = 0;
  virtual void take_back() = 0;
  /// What is offered will never leave.
  virtual bool broken() const = 0;
  virtual void cancel_stream() = 0;

 protected:
  ~TunnelSender() = default;
};

class TunnelStream final : public io::Stream, public Incoming::Watcher {
 public:
  TunnelStream(TunnelSender& of, Incoming& incoming, io::Loop& loop)
      : of_(of), incoming_(incoming), loop_(loop) {}
  ~TunnelStream() override { assert(!reader_ && !writer_); }

  void shutdown_write() override;
  /// The peer sees a reset (RFC 8441, section 5).
  void abort() override;
  bool dirty() override { return has_input(); }
  io::Address peer() const override { return of_.tunnel_peer(); }

  /// Our end is told, or is being told.
  bool write_ended() const { return write_ended_; }

  // --- told by the stream ---
  void on_incoming() override;
  /// What was offered has left, or never will.
  void on_sent();

 private:
  bool try_read(io::Result<io::Lease>& result) override;
  bool try_readable(io::Result<>& result) override;
  bool try_write(std::span<const iovec> pieces, io::Result<>& result) override;
  void wait_read(std::coroutine_handle<> waiter, io::Result<io::Lease>* result) override;
  void wait_readable(std::coroutine_handle<> waiter, io::Result<>* result) override;
  void wait_write(std::coroutine_handle<> waiter, io::Result<>* result) override;
  void on_cancel() override;

  bool has_input() const { return has_unread() || incoming_.readable(); }
  void resume_reader();
  void offer_next();
  void resume_writer(io::Result<> result);

  TunnelSender& of_;
  Incoming& incoming_;
  io::Loop& loop_;
  std::coroutine_handle<> reader_;
  io::Result<io::Lease>* read_result_ = nullptr;  // of a waiting read
  io::Result<>* readable_result_ = nullptr;       // of a waiting readable
  std::coroutine_handle<> writer_;
  io::Result<>* write_result_ = nullptr;
  std::span<const iovec> pieces_;  // of a waiting write, those that have not been offered
  bool write_ended_ = false;
};

}  // namespace sluice::http::h2
