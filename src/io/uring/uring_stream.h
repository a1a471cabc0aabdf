// A TCP connection on a UringLoop.
#pragma once

#include "io/read_size.h"
#include "io/uring/uring_loop.h"

namespace sluice::io {

/// Receives in one of two ways. Small transfers: one receive, submitted once, completes again and again, each
/// time with a buffer of the loop's ring. Large ones, and whenever that ring is empty or nobody reads what
/// came: a poll says when there is something, and the reader's call fetches it into a large buffer that is
/// warm from the last use, as with epoll. Nothing is fetched unread that way.
class UringStream final : public Stream, private UringTarget {
 public:
  ~UringStream() override;

  /// Takes `descriptor`, a connected non-blocking socket.
  static std::unique_ptr<UringStream> adopt(UringLoop& loop, int descriptor, const Address& peer);
  static Result<std::unique_ptr<UringStream>> start_connect(UringLoop& loop, const Address& address);

  struct ConnectedAwait {
    UringStream& stream;
    Result<> result = {};
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> waiter) { stream.wait_connected(waiter, &result); }
    Result<> await_resume() { return result; }
  };
  /// After `start_connect`: until the connection stands or failed.
  ConnectedAwait connected() { return {*this}; }

  void shutdown_write() override;
  void abort() override;
  bool dirty() override;
  bool peer_ended() const override { return hung_up_ || over(); }
  Duration input_age() const override;
  Address peer() const override { return peer_; }
  void set_peer(const Address& peer) override { peer_ = peer; }
  Address local() const override;

 private:
  UringStream(UringLoop& loop, int descriptor, const Address& peer)
      : loop_(loop), slot_(loop.add(*this)), descriptor_(descriptor), peer_(peer) {}

  bool try_read(Result<Lease>& result) override;
  bool try_readable(Result<>& result) override;
  bool try_write(std::span<const iovec> pieces, Result<>& result) override;
  void wait_read(std::coroutine_handle<> waiter, Result<Lease>* result) override;
  void wait_readable(std::coroutine_handle<> waiter, Result<>* result) override;
  void wait_write(std::coroutine_handle<> waiter, Result<>* result) override;
  void wait_connected(std::coroutine_handle<> waiter, Result<>* result);
  void on_completion(Operation operation, int result, uint32_t flags) override;
  void on_cancel() override;

  // Receiving.
  bool over() const { return end_ || error_; }
  void listen();
  void poll_for(uint32_t events);
  void use_polling();
  void use_ring();
  void on_received(int result, uint32_t flags);
  void on_polled(int result);
  void keep(Buffer* buffer);
  Lease take_kept();
  bool fetch(Result<Lease>& result);
  bool fetchable();
  void end();
  void tell(bool broken);

  // Sending.
  bool send_now(Result<>& result);
  Error send_error(int system);
  void submit_send();
  void on_sent(int result);
  void on_connected(int result);
  size_t skip_sent(size_t& within) const;
  void finish_write();

  UringLoop& loop_;
  UringLoop::Slot slot_;
  int descriptor_;
  int error_ = 0;            // errno that ended receiving
  bool end_ = false;         // the peer's end has come, though what is kept comes first
  bool polling_ = false;     // how it receives
  bool readable_ = false;    // while polling: there may be something to fetch
  bool unsure_ = false;      // `readable_` may hold no more: a fetch has filled its buffer, or ran ahead
  bool reset_ = false;       // a reset was met by a send
  bool hung_up_ = false;     // the peer's end or an error has been seen: a short read is not the last one
  bool broken_ = false;      // neither direction is open any more
  bool cancelled_ = false;   // the operation that the writer waits for
  uint8_t kept_lent_ = 0;    // buffers of the ring among the kept ones
  ReadSize read_size_;       // while polling
  uint8_t small_reads_ = 0;  // while polling, in a row
  Instant fetched_at_{};     // the turn of the last fetch that brought bytes
  Buffer* kept_ = nullptr;   // received and not read yet, in order
  Buffer* last_kept_ = nullptr;
  std::coroutine_handle<> reader_;
  std::coroutine_handle<> writer_;
  Result<Lease>* read_result_ = nullptr;  // of a waiting read
  Result<>* readable_result_ = nullptr;   // of a waiting readable
  Result<>* write_result_ = nullptr;
  std::span<const iovec> pieces_;  // of a waiting write
  size_t pieces_done_ = 0;         // bytes of `pieces_` that are out
  Address peer_;
};

}  // namespace sluice::io
