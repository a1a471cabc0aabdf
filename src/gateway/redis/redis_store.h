// RedisStore: a Redis store of the configuration, as workers connect to it: one server, the master that
// sentinels name, or the nodes of a cluster.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>

#include "base/time.h"
#include "gateway/upstream.h"
#include "telemetry/families.h"

namespace sluice::gateway {

class ConnectionPools;

struct RedisLogin {
  std::string user;      // empty: `default`
  std::string password;  // empty: none is sent
};

/// Immutable.
struct RedisStore {
  enum class Topology : uint8_t { kSingle, kSentinel, kCluster };

  std::string name;
  Topology topology = Topology::kSingle;
  /// Its targets: the server, the sentinels, or nodes of the cluster to begin with.
  std::shared_ptr<const Upstream> upstream;
  RedisLogin login;
  uint32_t database = 0;
  std::string master;  // of kSentinel: its name, and who we are to sentinels
  RedisLogin sentinel_login;
  TargetTls node_tls;  // of servers that are not configured; without a name: their hosts
  TargetRegistry& targets;
  Duration timeout{};  // of a command
  telemetry::StoreMetrics metrics;
  /// Of workers; each has a reference to this.
  std::unique_ptr<std::atomic<long>> clients = std::make_unique<std::atomic<long>>(0);

  /// A server that sentinels or nodes have named; its name, if it has one, is resolved from now on.
  Target node(const config::RedisAddress& address) const;
  /// Those that the document names.
  std::vector<Target> named() const;
  /// Drops what is kept, of a worker's `pools` too, of servers that nobody names any more.
  void forget_nodes(ConnectionPools& pools) const;
};

/// By the names that the document gives them.
using RedisStores = std::map<std::string, std::shared_ptr<const RedisStore>, std::less<>>;

}  // namespace sluice::gateway
