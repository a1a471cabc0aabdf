// A listening TCP socket on a UringLoop.
#pragma once

#include <deque>

#include "io/socket.h"
#include "io/uring/uring_loop.h"

namespace sluice::io {

/// One submission accepts until it is cancelled. Connections that nobody has taken yet are bounded: then it
/// rests, and the kernel's own queue fills.
class UringListener final : public Listener, private UringTarget {
 public:
  static constexpr size_t kWaiting = 64;

  ~UringListener() override;

  static Result<std::unique_ptr<Listener>> open(UringLoop& loop, const Address& address,
                                                ListenOptions options);
  Address address() const override { return address_; }
  Result<int> duplicate() const override { return duplicate_descriptor(descriptor_); }

 private:
  UringListener(UringLoop& loop, int descriptor);
  bool try_accept(Result<std::unique_ptr<Stream>>& result) override;
  Result<std::unique_ptr<Stream>> accept_last();
  void wait_accept(std::coroutine_handle<> waiter, Result<std::unique_ptr<Stream>>* result) override;
  void on_completion(Operation operation, int result, uint32_t flags) override;
  void on_cancel() override;

  UringLoop& loop_;
  UringLoop::Slot slot_;
  int descriptor_;
  int last_accepts_ = kMostLastAccepts;  // that are left once it is cancelled
  int error_ = 0;                        // an errno that nobody was told yet
  std::deque<int> waiting_;              // accepted descriptors
  ReserveDescriptor reserve_;
  std::coroutine_handle<> acceptor_;
  Result<std::unique_ptr<Stream>>* result_ = nullptr;
  Address address_;
};

}  // namespace sluice::io
