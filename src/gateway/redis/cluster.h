// RedisCluster: a worker's connections to the nodes of a Redis Cluster, and what it knows of who has which
// keys. It learns that from the nodes when it is first asked, and again when one is gone or says that a slot
// has moved.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/intrusive_list.h"
#include "gateway/redis/connection.h"
#include "gateway/redis/topology.h"

namespace sluice::gateway {

/// Belongs to one loop.
class RedisCluster {
 public:
  RedisCluster(const RedisEnvironment& environment, const RedisStore& store)
      : environment_(environment), loop_(environment.loop), store_(store) {}

  /// Sends `command` to the node that has `key`, follows one redirection of each kind, and waits for the
  /// reply until then. `command` lives until it returns.
  io::Task<RedisAnswer> ask(std::string_view key, std::string_view command, io::CancelToken& token,
                            Instant until);

  void close();
  /// It may be destroyed.
  bool is_idle() const;
  io::Task<> join();

 private:
  struct Node {
    Node(const RedisEnvironment& environment, const RedisStore& store, const RedisAddress& at,
         const Target& node)
        : address(at), target(node), connection(environment, store, node) {}
    const RedisAddress address;
    const Target target;
    RedisConnection connection;
  };
  /// A request that came before anything was known.
  struct Waiter : ListHook {
    explicit Waiter(io::Loop& loop) : signal(loop) {}
    io::Signal signal;
  };
  static constexpr uint16_t kNobody = 0xffff;

  io::Task<telemetry::StoreResult> await_slots(io::CancelToken& token, Instant until);
  /// Null: nobody has it.
  Node* owner(uint16_t slot) const;
  /// Null: there are too many already.
  Node* node_at(const RedisAddress& address);
  Node* redirected(const Redirection& to);
  void refresh_soon();
  io::Task<> refresh();
  io::Task<std::string> learn();
  std::vector<Target> whom_to_ask();
  void take(const ClusterSlots& slots);

  const RedisEnvironment environment_;
  io::Loop& loop_;
  const RedisStore& store_;
  std::vector<uint16_t> owners_;  // by slot, in `nodes_`; empty: nothing is known yet
  std::vector<std::unique_ptr<Node>> nodes_;
  std::vector<std::unique_ptr<Node>> leaving_;  // closed; destroyed once they are idle
  IntrusiveList<Waiter> waiters_;
  size_t waiting_ = 0;  // of waiters_
  size_t asked_ = 0;    // who is asked first the next time
  bool refreshing_ = false;
  bool failing_ = false;  // nobody has answered the last time
  Instant refreshing_since_{};
  Instant refresh_at_{};  // not before
  Duration pause_{};
  io::CancelToken token_;
  bool closed_ = false;
  io::TaskScope scope_;
};

}  // namespace sluice::gateway
