// RedisSession: one connection to one server of a store, that has been told who we are. What is said over it
// is its owner's matter: many commands of requests (RedisConnection), or one question (`ask_once`).
#pragma once

#include <expected>
#include <memory>
#include <optional>
#include <string>

#include "gateway/connection_pool.h"
#include "gateway/redis/redis_store.h"
#include "gateway/redis/reply.h"
#include "io/cancel.h"
#include "io/loop.h"
#include "io/task.h"

namespace sluice::gateway {

/// What a worker's connections to Redis are made with.
struct RedisEnvironment {
  io::Loop& loop;
  telemetry::WorkerMetrics& metrics;
  ConnectionPools& pools;
};

/// Belongs to one coroutine, whose token must outlive it.
class RedisSession {
 public:
  RedisSession(const RedisEnvironment& environment, const RedisStore& store, Target target,
               io::CancelToken& token, RedisReplyReader::Bounds bounds = {})
      : environment_(environment),
        store_(store),
        target_(std::move(target)),
        token_(token),
        reader_(bounds) {}
  RedisSession(const RedisSession&) = delete;
  RedisSession& operator=(const RedisSession&) = delete;
  ~RedisSession();

  /// Connects, and says who we are; `must_be_master`: and asks who it is. Why not, when it fails.
  io::Task<std::expected<void, std::string>> open(const RedisLogin& login, uint32_t database,
                                                  bool must_be_master);
  /// False: the connection has ended. `bytes` live until it returns.
  io::Task<bool> write(std::string_view bytes);
  /// Nothing: the connection has ended, or what comes over it is not the protocol.
  io::Task<std::optional<RedisReply>> read();

 private:
  io::Task<std::expected<void, std::string>> greet(const RedisLogin& login, uint32_t database,
                                                   bool must_be_master);

  const RedisEnvironment environment_;
  const RedisStore& store_;
  const Target target_;
  io::CancelToken& token_;
  RedisReplyReader reader_;
  ConnectionPool* pool_ = nullptr;
  UpstreamConnection* connection_ = nullptr;
};

/// Asks one server one thing, on a connection of its own, within the store's time to connect. An error that
/// it answers with is a reason why not. `store` and `login` live until it returns.
io::Task<std::expected<RedisReply, std::string>> ask_once(RedisEnvironment environment,
                                                          const RedisStore& store, Target target,
                                                          const RedisLogin& login, std::string command,
                                                          io::CancelToken& token);

}  // namespace sluice::gateway
