// A simulated world: several loops on one thread, a clock that jumps, a network inside it. Everything that
// happens follows from the seed.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/time.h"
#include "io/dns.h"
#include "io/sim/sim_faults.h"
#include "io/sim/sim_loop.h"
#include "io/sim/sim_queue.h"
#include "io/sim/sim_trace.h"

namespace sluice::io {

class SimConnection;
class SimDatagrams;
class SimListener;
class SimStream;

struct SimOptions {
  uint64_t seed = 1;
  size_t pipe_bytes = 64 * 1024;  // on their way in one direction of a connection; more waits
  bool split_transfers = false;   // reads and writes move fewer bytes than they could, by chance
  Duration latency{};             // of every delivery, one way, whatever the faults add
  SimFaults faults = {};          // `SimFaults::draw(seed)` for a mixture of this seed's own
  bool keep_trace = false;        // the text too, not only the hash
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
  SimLoop& add_loop(SimRole role = SimRole::kTested);

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

  /// Gives `name` addresses; none: the name does not exist any more.
  void set_name(const std::string& name, std::vector<Address> addresses, Duration ttl);
  /// Null: there is no such name.
  const Resolution* find_name(const std::string& name) const;
  /// Gives the service `name` servers; none: there is no such service any more.
  void set_service(const std::string& name, std::vector<ServiceRecord> records, Duration ttl);
  /// Null: there is no such service.
  const ServiceRecords* find_service(const std::string& name) const;

  /// Nothing goes wrong from now on, but for what has struck already.
  void end_faults();

  /// Faults of `kind` that have struck so far.
  uint64_t drawn(FaultKind kind) const { return fault_log_.drawn(kind); }
  const FaultLog& fault_log() const { return fault_log_; }
  /// Of a stream of this world: 1 for the first connection that was begun, the same at both ends. A stream of
  /// another kind (TLS) has none.
  static uint32_t connection_number(const Stream& stream);
  /// Every kind that has struck this connection so far, also the harmless ones; asked at any time, also when
  /// it is closed.
  FaultSet faults_of(uint32_t connection) const;
  /// Whether one of them may have changed what was said on it.
  bool harmed(uint32_t connection) const;
  const SimTrace& trace() const { return trace_; }

 private:
  friend class SimConnection;
  friend class SimDatagrams;
  friend class SimDatagramSocket;
  friend class SimListener;
  friend class SimLoop;
  friend class SimOffload;
  friend class SimResolver;
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
  uint16_t next_port();

  SimQueue& queue() { return queue_; }
  SimDatagrams& datagrams() { return *datagrams_; }
  SimConnection& take_connection();
  uint32_t next_connection_number();
  void release(SimConnection& connection) { free_connections_.push_back(&connection); }

  /// Whether a fault of `kind` strikes this time.
  bool strikes(FaultKind kind);
  Duration drawn_time(FaultKind kind);
  void strike(const FaultRecord& fault);
  /// Of `bytes` that could be moved, those that are.
  size_t share_of(size_t bytes, uint32_t connection);
  bool out_of_descriptors(const SimLoop& loop) const;
  void draw_world_fault(FaultKind kind);
  void strike_world(FaultKind kind);

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
  std::map<std::string, Resolution> names_;
  std::map<std::string, ServiceRecords> services_;
  SimQueue queue_;
  std::unique_ptr<SimDatagrams> datagrams_;
  std::vector<std::unique_ptr<SimConnection>> connections_;
  std::vector<SimConnection*> free_connections_;
  std::vector<SimLoop*> runnable_;             // of this turn
  std::map<FaultKind, Instant> world_faults_;  // when the next of each kind strikes
  Instant descriptors_back_{};
  FaultLog fault_log_;
  std::vector<FaultSet> struck_;  // connections, by number, from 1
  SimTrace trace_;
};

}  // namespace sluice::io
