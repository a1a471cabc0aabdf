// A simulated world: several loops on one thread, a clock that jumps, a network inside it. Everything that
// happens follows from the seed.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <vector>

#include "base/random.h"
#include "base/time.h"
#include "io/sim/sim_loop.h"

namespace sluice::io {

class SimListener;
class SimStream;

struct SimOptions {
  uint64_t seed = 1;
  size_t pipe_bytes = 64 * 1024;  // on their way in one direction of a connection; more waits
  bool split_transfers = false;   // reads and writes move fewer bytes than they could, by chance
};

/// Not thread-safe. Streams, listeners and tasks end before the world that they live in.
class SimWorld {
 public:
  using Options = SimOptions;
  explicit SimWorld(const Options& options = {});
  SimWorld(const SimWorld&) = delete;
  SimWorld& operator=(const SimWorld&) = delete;
  ~SimWorld();

  /// One more event loop; it lives as long as the world.
  SimLoop& add_loop();

  Instant now() const { return now_; }
  WallTime wall_now() const;
  const Options& options() const { return options_; }
  Random& random() { return random_; }

  /// Until nothing is ready and no timer is armed.
  void run() { run_to(kNever); }
  /// Ends `duration` later, even if there is nothing to do.
  void run_for(Duration duration);
  /// Until `done` holds, looked at after each turn; false when nothing more can happen, or not before
  /// `limit` has passed.
  bool run_until(const std::function<bool()>& done, Duration limit = std::chrono::hours(24));

  /// Time that a loop takes for its work: it passes within its turn, while nobody else has one.
  void spend(Duration time) { now_ += time; }

  /// Nothing that is sent to `address` gets an answer: connecting there waits until it is cancelled.
  void swallow(const Address& address) { swallowed_.insert(address); }

 private:
  friend class SimLoop;
  friend class SimListener;
  friend class SimStream;
  bool turn();
  bool jump(Instant limit);
  void run_to(Instant limit);
  void set_now(Instant now);

  Result<Address> add_listener(SimListener& listener, const Address& address, ListenOptions options);
  void remove_listener(SimListener& listener);
  /// Who listens there; one of them by chance where several do.
  SimListener* find_listener(const Address& address);
  bool swallows(const Address& address) const { return swallowed_.contains(address); }
  uint16_t next_port() { return ++last_port_; }

  struct Listening {
    Address address;
    bool shared;
    SimListener* listener;
  };

  Options options_;
  Random random_;
  Instant now_;
  uint16_t last_port_ = 32767;
  std::vector<std::unique_ptr<SimLoop>> loops_;
  std::vector<Listening> listening_;
  std::set<Address> swallowed_;
};

}  // namespace sluice::io
