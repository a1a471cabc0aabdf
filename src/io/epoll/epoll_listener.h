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
  Result<int> duplicate() const override { return duplicate_descriptor(descriptor_); }

 private:
  EpollListener(EpollLoop& loop, int descriptor);
  bool try_accept(Result<std::unique_ptr<Stream>>& result) override;
  Result<std::unique_ptr<Stream>> accept_last();
  void wait_accept(std::coroutine_handle<> waiter, Result<std::unique_ptr<Stream>>* result) override;
  void on_events(uint32_t events) override;
  void on_cancel() override;

  EpollLoop& loop_;
  int descriptor_;
  ReserveDescriptor reserve_;
  bool readable_ = false;
  int last_accepts_ = kMostLastAccepts;  // that are left once it is cancelled
  std::coroutine_handle<> acceptor_;
  Result<std::unique_ptr<Stream>>* result_ = nullptr;
  Address address_;
};

}  // namespace sluice::io
