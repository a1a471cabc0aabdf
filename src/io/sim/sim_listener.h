// A listening socket of a SimLoop.
#pragma once

#include <deque>
#include <memory>

#include "io/sim/sim_loop.h"

namespace sluice::io {

class SimStream;

/// Connections that nobody accepts wait without bound, whatever backlog was asked for; they are reset when
/// the listener goes.
class SimListener final : public Listener, private SimTarget {
 public:
  ~SimListener() override;

  static Result<std::unique_ptr<Listener>> open(SimLoop& loop, const Address& address, ListenOptions options);
  Address address() const override { return address_; }
  Result<int> duplicate() const override { return fail(ErrorCode::kOther, ENOTSUP); }

  SimLoop& loop() { return loop_; }
  /// A connection has come.
  void offer(std::unique_ptr<SimStream> stream);

 private:
  explicit SimListener(SimLoop& loop) : loop_(loop) {}
  bool try_accept(Result<std::unique_ptr<Stream>>& result) override;
  void wait_accept(std::coroutine_handle<> waiter, Result<std::unique_ptr<Stream>>* result) override;
  void on_events(uint32_t events) override;
  void on_cancel() override;
  void drop_first();
  bool accept_fails(Result<std::unique_ptr<Stream>>& result);

  SimLoop& loop_;
  Address address_;
  std::deque<std::unique_ptr<SimStream>> waiting_;
  bool drawn_ = false;  // whether accepting the first of them fails was drawn
  std::coroutine_handle<> acceptor_;
  Result<std::unique_ptr<Stream>>* result_ = nullptr;
};

}  // namespace sluice::io
