#include "io/sim/sim_loop.h"

#include <algorithm>

#include "io/sim/sim_datagram.h"
#include "io/sim/sim_listener.h"
#include "io/sim/sim_stream.h"
#include "io/sim/sim_world.h"

namespace sluice::io {

SimLoop::SimLoop(SimWorld& world, uint64_t seed, size_t index, SimRole role)
    : Loop(seed), world_(world), index_(static_cast<uint32_t>(index)), role_(role) {
  update_time();
}

void SimLoop::update_time() { set_time(world_.now(), world_.wall_now()); }

Instant SimLoop::next_turn() {
  bool work = has_ready() || posted_ || !events_.empty();
  return std::max(work ? world_.now() : timers().next_due(), starved_until_);
}

void SimLoop::turn() {
  CurrentLoop current(*this);
  update_time();
  world_.trace_.add_turn(index_);
  if (waiting_) {
    waiting_ = false;
    if (observer()) observer()->after_wait();
  }
  dispatch();
  if (std::exchange(posted_, false)) {
    world_.trace_.add(now(), index_, 0, SimTrace::Event::kMessages, 0);
    run_posted();
  }
  timers().advance(now());
  run_ready();
  if (has_ready() || timers().next_due() <= now()) {
    if (observer()) observer()->between_turns();
  } else {
    waiting_ = true;
    if (observer()) observer()->before_wait();
  }
}

void SimLoop::dispatch() {
  // What happens meanwhile belongs to the next turn.
  for (size_t count = events_.size(); count > 0 && !events_.empty(); --count) {
    SimTarget* target = events_.front();
    events_.pop_front();
    if (target) target->on_events(std::exchange(target->pending_, 0));
  }
}

void SimLoop::notify(SimTarget& target, uint32_t events) {
  if (!target.pending_) events_.push_back(&target);
  target.pending_ |= events;
}

void SimLoop::forget(const SimTarget& target) {
  std::ranges::replace(events_, const_cast<SimTarget*>(&target), nullptr);
}

Result<std::unique_ptr<Listener>> SimLoop::listen(const Address& address, ListenOptions options) {
  return SimListener::open(*this, address, options);
}

Task<Result<std::unique_ptr<Stream>>> SimLoop::connect(Address address, CancelToken& token) {
  if (token.cancelled()) co_return fail(ErrorCode::kCancelled);
  if (world_.out_of_descriptors(*this)) co_return fail(ErrorCode::kNoDescriptors);
  Address source = source_;
  source.port = world_.next_port();
  auto stream = SimStream::start_connect(*this, source, address);
  stream->bind(token);
  auto connected = co_await stream->connected();
  if (!connected) co_return std::unexpected(connected.error());
  stream->unbind();
  co_return std::move(stream);
}

Result<std::unique_ptr<DatagramSocket>> SimLoop::open_datagrams(const Address& local,
                                                                const DatagramOptions& options) {
  return SimDatagramSocket::open(*this, local, options);
}

}  // namespace sluice::io
