// A stream over something that says when it is ready and is then tried: what a socket under epoll and a pipe
// of the simulator have in common, so that both treat waiting, cancellation, resets and observers alike.
#pragma once

#include <coroutine>
#include <cstdint>
#include <span>

#include "io/loop.h"
#include "io/read_size.h"
#include "io/stream.h"

namespace sluice::io {

class ReadinessStream : public Stream {
 public:
  ~ReadinessStream() override { assert(!reader_ && !writer_); }

  struct ConnectedAwait {
    ReadinessStream& stream;
    Result<> result = {};
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> waiter) { stream.wait_write(waiter, &result); }
    Result<> await_resume() { return result; }
  };
  /// After a connect was started: until the connection stands or failed.
  ConnectedAwait connected() { return {*this}; }

  bool dirty() override;
  bool peer_ended() const override { return hung_up_; }
  Address peer() const override { return peer_; }
  void set_peer(const Address& peer) override { peer_ = peer; }

 protected:
  ReadinessStream(Loop& loop, const Address& peer) : loop_(loop), peer_(peer) {}

  /// What has become possible; each is told once, when it becomes so.
  struct Events {
    bool input = false;    // bytes, an end or an error
    bool output = false;   // room, or the connection stands or failed
    bool hung_up = false;  // the peer's end has come, or an error: no byte follows what is there
    bool broken = false;   // no byte can be sent or received any more
  };
  void on_readiness(Events events);
  void begin_connecting() { connecting_ = true; }
  Loop& loop() const { return loop_; }

  /// Results of `receive` and `transmit` that are no count of bytes.
  static constexpr ssize_t kWouldWait = -1;
  static constexpr ssize_t kFailed = -2;
  /// Bytes put at `to`, 0 at the end, kWouldWait, or kFailed with `error`. Fewer than `room`: what is there
  /// beyond them will be told of as `input`.
  virtual ssize_t receive(char* to, size_t room, Error& error) = 0;
  /// Whether `receive` would not wait.
  virtual bool receivable() = 0;
  /// Bytes taken of `pieces`, kWouldWait, or kFailed with `error`. Fewer than all, or kWouldWait: `output` is
  /// told once there is room.
  virtual ssize_t transmit(std::span<const iovec> pieces, Error& error) = 0;
  /// What became of the connection that was started.
  virtual Result<> connect_result() = 0;

 private:
  bool try_read(Result<Lease>& result) override;
  bool try_readable(Result<>& result) override;
  bool try_write(std::span<const iovec> pieces, Result<>& result) override;
  void wait_read(std::coroutine_handle<> waiter, Result<Lease>* result) override;
  void wait_readable(std::coroutine_handle<> waiter, Result<>* result) override;
  void wait_write(std::coroutine_handle<> waiter, Result<>* result) override;
  void on_cancel() override;
  void on_input(bool inline_resumption);
  void on_output(bool inline_resumption);
  bool finish_output();
  bool send_pieces(Result<>& result);
  bool has_input();

  Loop& loop_;
  std::coroutine_handle<> reader_;
  std::coroutine_handle<> writer_;
  Result<Lease>* read_result_ = nullptr;  // of a waiting read
  Result<>* readable_result_ = nullptr;   // of a waiting readable
  Result<>* write_result_ = nullptr;
  std::span<const iovec> pieces_;  // of a waiting write
  size_t pieces_done_ = 0;         // bytes of `pieces_` that are out
  Instant read_at_{};              // the turn of the last read that brought bytes
  Address peer_;
  bool readable_ = false;  // an event said so and no read has come up short since
  bool unsure_ = false;    // `readable_` may hold no more: the last read filled its buffer exactly, or had
                           // taken what the event told of
  bool hung_up_ = false;   // the peer's end or an error has been seen: a short read is not the last one
  bool ended_ = false;     // the end was delivered
  bool reset_ = false;     // a reset was delivered, to the reader or the writer
  bool connecting_ = false;
  ReadSize read_size_;
};

}  // namespace sluice::io
