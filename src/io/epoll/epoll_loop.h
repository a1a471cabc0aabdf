// The epoll back-end: readiness, edge-triggered, one registration a descriptor for its whole life.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <vector>

#include "io/system_loop.h"

namespace sluice::io {

/// A descriptor registered with an EpollLoop.
class EpollTarget {
 public:
  /// `events` as epoll_wait gave them.
  virtual void on_events(uint32_t events) = 0;

 protected:
  ~EpollTarget() = default;
};

class EpollLoop final : public SystemLoop {
 public:
  /// Throws std::system_error when the system refuses an epoll or event descriptor.
  explicit EpollLoop(uint64_t seed);
  ~EpollLoop() override;

  Result<std::unique_ptr<Listener>> listen(const Address& address, ListenOptions options) override;
  Task<Result<std::unique_ptr<Stream>>> connect(Address address, CancelToken& token) override;
  Result<std::unique_ptr<DatagramSocket>> open_datagrams(const Address& local,
                                                         const DatagramOptions& options) override;

  /// Registers for input, output and hang-up, edge-triggered.
  Result<> watch(int descriptor, EpollTarget& target, uint32_t events);
  /// Before `target` is destroyed and its descriptor closed: ends the registration, and drops its events of
  /// this turn that were not delivered yet. Closing alone would not end it while another process has the
  /// same socket: a successor that was handed it, or for a moment whatever is being started.
  void forget(int descriptor, const EpollTarget& target);

  /// Whether small sends wait for the end of this turn. Where a turn has much to do, they leave one after
  /// another then: that keeps our code in the caches, and the kernel's.
  bool holds_sends() const { return holds_sends_; }
  /// `target` gets an EPOLLOUT when they are to leave.
  void hold(EpollTarget& target) { held_.push_back(&target); }

 private:
  class Waker;
  void wait(Duration timeout) override;
  void dispatch() override;
  void wake() override;

  int epoll_ = -1;
  int wake_ = -1;
  std::unique_ptr<Waker> waker_;
  std::array<epoll_event, 256> events_;
  int next_event_ = 0;
  int event_count_ = 0;
  std::vector<EpollTarget*> held_;  // null: gone
  bool holds_sends_ = false;
};

}  // namespace sluice::io
