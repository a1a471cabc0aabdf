// RedisClient: a worker's connection to a store. Commands of many requests go out together and are answered
// in order; nobody waits longer than the store's timeout.
#pragma once

#include <deque>
#include <expected>
#include <memory>
#include <string>
#include <unordered_map>

#include "gateway/connection_pool.h"
#include "gateway/redis/redis_store.h"
#include "gateway/redis/reply.h"
#include "io/cancel.h"
#include "io/loop.h"
#include "io/scope.h"
#include "io/signal.h"
#include "io/task.h"

namespace sluice::gateway {

/// Belongs to one loop. Connects when it is first asked, and again, with growing pauses, after a failure.
class RedisClient {
 public:
  /// More wait for no reply.
  static constexpr size_t kMostWaiting = 10'000;
  using Failure = telemetry::StoreResult;
  using Answer = std::expected<RedisReply, Failure>;

  RedisClient(io::Loop& loop, telemetry::WorkerMetrics& metrics, ConnectionPools& pools,
              std::shared_ptr<const RedisStore> store)
      : loop_(loop), metrics_(metrics), pools_(pools), store_(std::move(store)), more_(loop) {}

  /// Sends `command` (see `redis_command`) and waits for its reply; an error that Redis answers with is a
  /// reply.
  io::Task<Answer> ask(std::string command, io::CancelToken& token);
  const std::shared_ptr<const RedisStore>& store() const { return store_; }

  void close();
  bool is_idle() const { return scope_.active() == 0; }
  auto join() { return scope_.join(); }

 private:
  struct Waiting {
    Waiting(io::Loop& loop, Instant now) : signal(loop), since(now) {}
    io::Signal signal;
    const Instant since;
    bool done = false;
    bool failed = false;  // the connection has gone
    RedisReply reply;
  };
  enum class State : uint8_t { kDown, kConnecting, kReady };

  io::Task<> run();
  io::Task<> use(io::Stream& stream);
  io::Task<bool> greet(io::Stream& stream);
  io::Task<> write(io::Stream& stream);
  io::Task<std::optional<RedisReply>> read(io::Stream& stream);
  void went_down(std::string_view why);
  void count(Failure result) { metrics_.add(store_->metrics.requests[result]); }

  io::Loop& loop_;
  telemetry::WorkerMetrics& metrics_;
  ConnectionPools& pools_;
  const std::shared_ptr<const RedisStore> store_;
  State state_ = State::kDown;
  Instant retry_at_{};
  Duration pause_{};
  std::string out_;  // not written yet
  std::deque<std::shared_ptr<Waiting>> waiting_;
  io::Signal more_;  // in `out_`
  std::unique_ptr<RedisReplyReader> reader_;
  std::unique_ptr<io::CancelToken> token_;  // of the connection
  bool closed_ = false;
  io::TaskScope scope_;
};

/// A worker's clients.
class RedisClients {
 public:
  RedisClients(io::Loop& loop, telemetry::WorkerMetrics& metrics, ConnectionPools& pools)
      : loop_(loop), metrics_(metrics), pools_(pools) {}

  RedisClient& of(const std::shared_ptr<const RedisStore>& store);
  /// Closes those of stores that nobody else uses any more.
  void forget_unused();
  io::Task<> close();

 private:
  io::Loop& loop_;
  telemetry::WorkerMetrics& metrics_;
  ConnectionPools& pools_;
  std::unordered_map<const RedisStore*, std::unique_ptr<RedisClient>> clients_;
};

}  // namespace sluice::gateway
