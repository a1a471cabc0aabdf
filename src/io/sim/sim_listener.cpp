#include "io/sim/sim_listener.h"

#include <cerrno>

#include "io/sim/sim_stream.h"
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

void SimListener::offer(std::unique_ptr<SimStream> stream) {
  waiting_.push_back(std::move(stream));
  loop_.notify(*this, kInput);
}

bool SimListener::try_accept(Result<std::unique_ptr<Stream>>& result) {
  if (!waiting_.empty() && accept_fails(result)) return true;
  if (waiting_.empty()) {
    if (cancelled()) result = fail(ErrorCode::kCancelled);
    return cancelled();
  }
  loop_.world().trace_.add(loop_.now(), loop_.index(), waiting_.front()->connection_number(),
                           SimTrace::Event::kAccept, 0);
  result = std::move(waiting_.front());
  drop_first();
  return true;
}

/// What can go wrong with the first that waits; true: `result` says so.
bool SimListener::accept_fails(Result<std::unique_ptr<Stream>>& result) {
  SimWorld& world = loop_.world();
  if (world.out_of_descriptors(loop_)) {
    drop_first();
    result = fail(ErrorCode::kNoDescriptors, EMFILE);
    return true;
  }
  while (!waiting_.empty() && !drawn_ && loop_.role() == SimRole::kTested) {
    drawn_ = true;
    if (!world.strikes(FaultKind::kAcceptFailure)) break;
    waiting_.front()->strike(FaultKind::kAcceptFailure);
    switch (world.random().below(3)) {
      case 0:  // the connection was lost before: the system's loop does not tell of it
        waiting_.front()->abort();
        drop_first();
        break;
      case 1:
        drop_first();
        result = fail(ErrorCode::kNoDescriptors, EMFILE);
        return true;
      default:  // it can be had the next time
        result = fail(ErrorCode::kOther, ENOMEM);
        return true;
    }
  }
  return false;
}

void SimListener::drop_first() {
  waiting_.pop_front();
  drawn_ = false;
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
  if (!acceptor_ || !try_accept(*result_)) return;
  loop_.ready(std::exchange(acceptor_, nullptr));
}

}  // namespace sluice::io
