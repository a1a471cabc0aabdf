// A listening TCP socket on an EpollLoop.
#pragma once

#include "io/epoll/epoll_loop.h"
#include "io/socket.h"

namespace sluice::io {

class EpollListener final : public Listener, private EpollTarget {
 public:
  ~EpollListener() override;

  static Result<std::unique_ptr<Listener>> open(EpollLoop& loop, const Address& address,
                                                ListenOptions options);
  Address address() const override { return address_; }

 private:
  EpollListener(EpollLoop& loop, int descriptor);
  bool try_accept(Result<std::unique_ptr<Stream>>& result) override;
  void wait_accept(std::coroutine_handle<> waiter, Result<std::unique_ptr<Stream>>* result) override;
  void on_events(uint32_t events) override;
  void on_cancel() override;

  EpollLoop& loop_;
  int descriptor_;
  ReserveDescriptor reserve_;
  bool readable_ = false;
  std::coroutine_handle<> acceptor_;
  Result<std::unique_ptr<Stream>>* result_ = nullptr;
  Address address_;
};

}  // namespace sluice::io
