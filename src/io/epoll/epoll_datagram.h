// A UDP socket on an EpollLoop.
#pragma once

#include "io/epoll/epoll_loop.h"
#include "io/system_datagram.h"

namespace sluice::io {

class EpollDatagramSocket final : public SystemDatagramSocket, private EpollTarget {
 public:
  ~EpollDatagramSocket() override { loop_.forget(descriptor(), *this); }

  static Result<std::unique_ptr<DatagramSocket>> open(EpollLoop& loop, const Address& local,
                                                      const DatagramOptions& options);

 private:
  EpollDatagramSocket(EpollLoop& loop, DatagramBatch& batch, int descriptor, bool connected)
      : SystemDatagramSocket(loop, batch, descriptor, connected), loop_(loop) {}
  void on_events(uint32_t) override { on_input(); }

  EpollLoop& loop_;
};

}  // namespace sluice::io
