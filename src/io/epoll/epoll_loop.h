// The epoll back-end: readiness, edge-triggered, one registration a descriptor for its whole life.
#pragma once

#include <sys/epoll.h>

#include <array>

#include "io/loop.h"

namespace sluice::io {

/// A descriptor registered with an EpollLoop.
class EpollTarget {
 public:
  /// `events` as epoll_wait gave them.
  virtual void on_events(uint32_t events) = 0;

 protected:
  ~EpollTarget() = default;
};

class EpollLoop final : public Loop {
 public:
  /// Throws std::system_error when the system refuses an epoll or event descriptor.
  explicit EpollLoop(uint64_t seed);
  ~EpollLoop() override;

  /// Until `stop`, on the calling thread.
  void run();
  /// From the loop's own thread: `run` returns after this turn.
  void stop() { stopped_ = true; }

  Result<std::unique_ptr<Listener>> listen(const Address& address, ListenOptions options) override;
  Task<Result<std::unique_ptr<Stream>>> connect(Address address, CancelToken& token) override;

  /// Registers for input, output and hang-up, edge-triggered.
  Result<> watch(int descriptor, EpollTarget& target, uint32_t events);
  /// Before `target` is destroyed: drops its events of this turn that were not delivered yet. Closing the
  /// descriptor ends the registration.
  void forget(const EpollTarget& target);

 private:
  class Waker;
  void update_time();
  void wait_and_dispatch();
  void wake() override;

  int epoll_ = -1;
  int wake_ = -1;
  bool stopped_ = false;
  std::unique_ptr<Waker> waker_;
  std::array<epoll_event, 256> events_;
  int next_event_ = 0;
  int event_count_ = 0;
  Instant busy_since_{};  // when the last wait ended
  Instant wall_checked_{};
  Duration wall_offset_{};  // wall time minus loop time
};

}  // namespace sluice::io
