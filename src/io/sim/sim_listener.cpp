#include "io/sim/sim_listener.h"

#include "io/sim/sim_world.h"

namespace sluice::io {

Result<std::unique_ptr<Listener>> SimListener::open(SimLoop& loop, const Address& address,
                                                    ListenOptions options) {
  std::unique_ptr<SimListener> listener(new SimListener(loop));
  auto bound = loop.world().add_listener(*listener, address, options);
  if (!bound) return std::unexpected(bound.error());
  listener->address_ = *bound;
  return listener;
}

SimListener::~SimListener() {
  assert(!acceptor_);
  loop_.world().remove_listener(*this);
  loop_.forget(*this);
  for (auto& stream : waiting_) stream->abort();
}

void SimListener::offer(std::unique_ptr<Stream> stream) {
  waiting_.push_back(std::move(stream));
  loop_.notify(*this, kInput);
}

bool SimListener::try_accept(Result<std::unique_ptr<Stream>>& result) {
  if (cancelled()) {
    result = fail(ErrorCode::kCancelled);
    return true;
  }
  if (waiting_.empty()) return false;
  result = std::move(waiting_.front());
  waiting_.pop_front();
  return true;
}

void SimListener::wait_accept(std::coroutine_handle<> waiter, Result<std::unique_ptr<Stream>>* result) {
  assert(!acceptor_);
  acceptor_ = waiter;
  result_ = result;
}

void SimListener::on_events(uint32_t) {
  if (!acceptor_ || !try_accept(*result_)) return;
  std::exchange(acceptor_, nullptr).resume();
}

void SimListener::on_cancel() {
  if (!acceptor_) return;
  *result_ = fail(ErrorCode::kCancelled);
  loop_.ready(std::exchange(acceptor_, nullptr));
}

}  // namespace sluice::io
