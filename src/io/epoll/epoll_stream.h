// A TCP connection on an EpollLoop.
#pragma once

#include "io/epoll/epoll_loop.h"

struct sockaddr_storage;

namespace sluice::io {

class EpollStream final : public Stream, private EpollTarget {
 public:
  ~EpollStream() override;

  /// Takes `descriptor`, a connected non-blocking socket.
  static Result<std::unique_ptr<EpollStream>> adopt(EpollLoop& loop, int descriptor, const Address& peer);
  static Result<std::unique_ptr<EpollStream>> start_connect(EpollLoop& loop, const Address& address);

  struct ConnectedAwait {
    EpollStream& stream;
    Result<> result = {};
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> waiter) { stream.wait_writer(waiter, &result); }
    Result<> await_resume() { return result; }
  };
  /// After `start_connect`: until the connection stands or failed.
  ConnectedAwait connected() { return {*this}; }

  void shutdown_write() override;
  void abort() override;
  bool dirty() override;
  Address peer() const override { return peer_; }
  Duration input_age() const override;

 private:
  EpollStream(EpollLoop& loop, int descriptor, const Address& peer)
      : loop_(loop), descriptor_(descriptor), peer_(peer) {}

  bool try_read(Result<Lease>& result) override;
  bool try_readable(Result<>& result) override;
  bool try_write(std::span<const iovec> pieces, Result<>& result) override;
  void wait_read(std::coroutine_handle<> waiter, Result<Lease>* result) override;
  void wait_readable(std::coroutine_handle<> waiter, Result<>* result) override;
  void wait_write(std::coroutine_handle<> waiter, Result<>* result) override;
  void wait_writer(std::coroutine_handle<> waiter, Result<>* result);
  void on_events(uint32_t events) override;
  void on_cancel() override;
  void on_input();
  bool finish_output();
  void on_output();
  void on_output_queued();
  bool send_pieces(Result<>& result);

  EpollLoop& loop_;
  int descriptor_;
  bool readable_ = false;  // an edge said so and no read has come up short since
  bool hung_up_ = false;   // the peer's end or an error has been seen: a short read is not the last one
  bool ended_ = false;     // the end was delivered
  bool connecting_ = false;
  uint8_t full_reads_ = 0;  // since the last small one; after two, larger buffers are lent
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
