// RedisClient: a worker's way to a store, whatever that is made of.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "gateway/redis/cluster.h"
#include "gateway/redis/connection.h"

namespace sluice::gateway {

/// Belongs to one loop.
class RedisClient {
 public:
  RedisClient(const RedisEnvironment& environment, std::shared_ptr<const RedisStore> store);

  /// Sends `command` (see `redis_command`), whose keys are all where `key` is, and waits for its reply, no
  /// longer than the store's timeout. `key` lives until it returns.
  io::Task<RedisAnswer> ask(std::string_view key, std::string command, io::CancelToken& token);
  const std::shared_ptr<const RedisStore>& store() const { return store_; }

  void close();
  bool is_idle() const;
  io::Task<> join();

 private:
  telemetry::WorkerMetrics& metrics_;
  io::Loop& loop_;
  const std::shared_ptr<const RedisStore> store_;
  std::unique_ptr<RedisConnection> connection_;  // or
  std::unique_ptr<RedisCluster> cluster_;
};

/// A worker's clients.
class RedisClients {
 public:
  RedisClients(io::Loop& loop, telemetry::WorkerMetrics& metrics, ConnectionPools& pools)
      : environment_{loop, metrics, pools} {}

  RedisClient& of(const std::shared_ptr<const RedisStore>& store);
  /// Closes those of stores that nobody else uses any more.
  void forget_unused();
  io::Task<> close();

 private:
  const RedisEnvironment environment_;
  std::unordered_map<const RedisStore*, std::unique_ptr<RedisClient>> clients_;
};

}  // namespace sluice::gateway
