// A TCP connection on an EpollLoop.
#pragma once

#include "io/epoll/epoll_loop.h"
#include "io/readiness_stream.h"

namespace sluice::io {

class EpollStream final : public ReadinessStream, private EpollTarget {
 public:
  ~EpollStream() override;

  /// Takes `descriptor`, a connected non-blocking socket.
  static Result<std::unique_ptr<EpollStream>> adopt(EpollLoop& loop, int descriptor, const Address& peer);
  static Result<std::unique_ptr<EpollStream>> start_connect(EpollLoop& loop, const Address& address);

  void shutdown_write() override;
  void abort() override;
  Duration input_age() const override;
  Address local() const override;

 private:
  EpollStream(EpollLoop& loop, int descriptor, const Address& peer)
      : ReadinessStream(loop, peer), descriptor_(descriptor) {}

  ssize_t receive(char* to, size_t room, Error& error) override;
  bool receivable() override;
  ssize_t transmit(std::span<const iovec> pieces, Error& error) override;
  Result<> connect_result() override;
  void on_events(uint32_t events) override;

  int descriptor_;
};

}  // namespace sluice::io
