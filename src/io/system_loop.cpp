#include "io/system_loop.h"

#include <time.h>

#include "io/system_datagram.h"

namespace sluice::io {

namespace {

int64_t read_clock(clockid_t clock) {
  timespec t;
  clock_gettime(clock, &t);
  return t.tv_sec * 1'000'000'000LL + t.tv_nsec;
}

}  // namespace

SystemLoop::SystemLoop(uint64_t seed) : Loop(seed) {}

SystemLoop::~SystemLoop() = default;

DatagramBatch& SystemLoop::datagram_batch() {
  if (!datagram_batch_) datagram_batch_ = std::make_unique<DatagramBatch>();
  return *datagram_batch_;
}

void SystemLoop::update_time() {
  Instant now{Duration(read_clock(CLOCK_MONOTONIC))};
  if (now - wall_checked_ > std::chrono::milliseconds(100)) {
    wall_checked_ = now;
    wall_offset_ = Duration(read_clock(CLOCK_REALTIME)) - now.time_since_epoch();
  }
  set_time(now, WallTime(now.time_since_epoch() + wall_offset_));
}

void SystemLoop::run() {
  CurrentLoop current(*this);
  stopped_ = false;
  begin();
  update_time();
  busy_since_ = now();
  while (!stopped_) {
    timers().advance(now());
    run_ready();
    if (!stopped_) wait_and_dispatch();
  }
}

Duration SystemLoop::time_to_wait() {
  if (has_ready()) return Duration::zero();
  Instant next = timers().next_due();
  if (next == kNever) return kForever;
  return std::max(next - now(), Duration::zero());
}

void SystemLoop::wait_and_dispatch() {
  Duration timeout = has_events() ? Duration::zero() : time_to_wait();
  bool waits = timeout != Duration::zero();
  if (waits) {
    add_busy(read_clock(CLOCK_MONOTONIC) - busy_since_.time_since_epoch().count());
    if (observer()) observer()->before_wait();
  } else if (observer()) {
    observer()->between_turns();
  }
  wait(timeout);
  update_time();
  if (waits) {
    busy_since_ = now();
    if (observer()) observer()->after_wait();
  }
  dispatch();
}

}  // namespace sluice::io
