// RedisClient: a worker's way to a store, whatever that is made of.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "gateway/redis/cluster.h"
#include "gateway/redis/connection.h"

namespace sluice::gateway {

/// Belongs to one loop.
class RedisClient {
 public:
  RedisClient(const RedisEnvironment& environment, std::shared_ptr<const RedisStore> store);
  RedisClient(const RedisClient&) = delete;
  RedisClient& operator=(const RedisClient&) = delete;
  ~RedisClient() { store_->clients->fetch_sub(1, std::memory_order_relaxed); }

  /// Sends `command` (see `redis_command`), whose keys are all where `key` is, and waits for its reply, no
  /// longer than the store's timeout. `key` lives until it returns.
  io::Task<RedisAnswer> ask(std::string_view key, std::string command, io::CancelToken& token);
  /// Nobody knows the store any more but clients of it, here and at other workers.
  bool forgotten() const { return store_.use_count() <= store_->clients->load(std::memory_order_relaxed); }

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
  std::vector<std::unique_ptr<RedisClient>> closed_;  // destroyed once they are idle
};

}  // namespace sluice::gateway
