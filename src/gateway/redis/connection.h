// RedisConnection: a worker's connection to one server of a store. Commands of many requests go out together
// and are answered in order; nobody waits for longer than it wants to.
#pragma once

#include <deque>
#include <expected>
#include <memory>
#include <optional>
#include <string>

#include "gateway/redis/redis_store.h"
#include "gateway/redis/reply.h"
#include "gateway/redis/session.h"
#include "io/cancel.h"
#include "io/scope.h"
#include "io/signal.h"
#include "io/task.h"

namespace sluice::gateway {

/// An error that Redis answers with is a reply.
using RedisAnswer = std::expected<RedisReply, telemetry::StoreResult>;

/// Belongs to one loop. Connects when it is first asked, and again, with growing pauses, after a failure.
class RedisConnection {
 public:
  /// More wait for no reply.
  static constexpr size_t kMostWaiting = 10'000;

  /// `node`: of a cluster; else the store's one server, or the master that its sentinels name at the time.
  RedisConnection(const RedisEnvironment& environment, const RedisStore& store,
                  std::optional<Target> node = {});

  /// Sends `command` (see `redis_command`) and waits for its reply until then. `asking`: behind ASKING, for a
  /// slot that the node is about to get. `command` lives until it returns.
  io::Task<RedisAnswer> ask(std::string_view command, bool asking, io::CancelToken& token, Instant until);

  void close();
  /// It may be destroyed.
  bool is_idle() const { return scope_.active() == 0 && asking_ == 0; }
  auto join() { return scope_.join(); }

 private:
  struct Waiting {
    Waiting(io::Loop& loop, Instant now) : signal(loop), since(now) {}
    io::Signal signal;
    const Instant since;
    bool asking = false;  // the reply to ASKING comes before
    bool done = false;
    bool failed = false;  // the connection has gone
    RedisReply reply;
  };
  enum class State : uint8_t { kDown, kConnecting, kReady };

  bool follows_sentinels() const { return store_.topology == RedisStore::Topology::kSentinel; }
  io::Task<> run();
  io::Task<std::string> connect_and_use();
  io::Task<std::string> use(RedisSession& session);
  io::Task<> write(RedisSession& session);
  void take(RedisReply reply);
  void went_down(std::string_view why);

  const RedisEnvironment environment_;
  io::Loop& loop_;
  const RedisStore& store_;
  const std::optional<Target> node_;
  size_t first_sentinel_ = 0;  // that is asked
  State state_ = State::kDown;
  Instant retry_at_{};
  Duration pause_{};
  std::string out_;  // not written yet
  std::deque<std::shared_ptr<Waiting>> waiting_;
  io::Signal more_;                         // in `out_`
  std::unique_ptr<io::CancelToken> token_;  // of the connection
  size_t asking_ = 0;                       // calls of `ask`
  bool closed_ = false;
  io::TaskScope scope_;
};

}  // namespace sluice::gateway
