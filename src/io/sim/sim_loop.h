// A loop of a SimWorld: has its turns when the world gives them, in the order of an EpollLoop's turn.
#pragma once

#include <deque>

#include "io/loop.h"

namespace sluice::io {

class SimWorld;

/// Something that the simulated network tells of what happened, as epoll would.
class SimTarget {
 public:
  enum Event : uint32_t {
    kInput = 1,   // bytes or connections have come
    kEnd = 2,     // the peer sends no more
    kOutput = 4,  // there is room again, or a connection stands or failed
    kHangUp = 8,  // neither direction is open any more, or the connection is broken
  };
  virtual void on_events(uint32_t events) = 0;

 protected:
  ~SimTarget() = default;

 private:
  friend class SimLoop;
  uint32_t pending_ = 0;
};

/// Whose loop it is. Faults of a machine (descriptors run out, a worker is starved, accepting fails) strike
/// only what is tested; its peers have machines of their own.
enum class SimRole : uint8_t { kTested, kPeer };

class SimLoop final : public Loop {
 public:
  SimLoop(SimWorld& world, uint64_t seed, size_t index, SimRole role);

  SimWorld& world() { return world_; }
  /// Its place among the world's loops, from 0.
  uint32_t index() const { return index_; }
  SimRole role() const { return role_; }
  /// The address that connections from here come from; the port is chosen anew for each.
  void set_source(const Address& source) { source_ = source; }

  Result<std::unique_ptr<Listener>> listen(const Address& address, ListenOptions options) override;
  Task<Result<std::unique_ptr<Stream>>> connect(Address address, CancelToken& token) override;
  Result<std::unique_ptr<DatagramSocket>> open_datagrams(const Address& local,
                                                         const DatagramOptions& options) override;

  /// `target` is told in the next turn; what comes meanwhile is told together.
  void notify(SimTarget& target, uint32_t events);
  /// Before `target` is destroyed.
  void forget(const SimTarget& target);

 private:
  friend class SimWorld;
  /// When it can have a turn: now, or when a timer is due, but not while it is starved.
  Instant next_turn();
  void turn();
  void dispatch();
  void update_time();
  void wake() override { posted_ = true; }

  SimWorld& world_;
  uint32_t index_;
  SimRole role_;
  Address source_ = Address::loopback(0);
  bool waiting_ = false;  // the observer was told of a wait
  bool posted_ = false;   // there are messages
  Instant starved_until_{};
  std::deque<SimTarget*> events_;
};

}  // namespace sluice::io
