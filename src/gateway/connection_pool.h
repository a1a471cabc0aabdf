// A worker's connections to one target: lent for an exchange, kept alive in between.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/intrusive_list.h"
#include "gateway/log_bound.h"
#include "gateway/shared_connections.h"
#include "gateway/upstream.h"
#include "http/h1/client_exchange.h"
#include "io/loop.h"
#include "io/signal.h"
#include "io/stream.h"
#include "io/timer.h"
#include "telemetry/metrics.h"
#include "tls/client_context.h"

namespace sluice::gateway {

class ConnectionPool;

/// A connection to a target. Lent to one exchange at a time.
class UpstreamConnection final : public ListHook,
                                 private io::Stream::Observer,
                                 private http::h1::ClientExchange::Lender,
                                 private http::ClientTunnel {
 public:
  /// `dedicated`: for one client alone.
  UpstreamConnection(ConnectionPool& pool, std::unique_ptr<io::Stream> stream, ConnectionPermit permit,
                     bool dedicated)
      : permit_(std::move(permit)), pool_(pool), stream_(std::move(stream)), dedicated_(dedicated) {}

  /// Starts the exchange that it was taken for; its end gives the connection back.
  http::ClientExchange& start(const http::ExchangePlace& place);
  io::Stream& stream() override { return *stream_; }
  /// It has carried an exchange before: the target may have closed it just now (RFC 9112, section 9.3.1).
  bool reused() const { return reused_; }

 private:
  friend class ConnectionPool;
  void on_disturbed(bool broken) override;
  void on_exchange_end(bool reusable) override;
  http::ClientTunnel& on_upgrade() override { return *this; }
  void end() override;

  ConnectionPermit permit_;  // goes after the stream
  ConnectionPool& pool_;
  std::unique_ptr<io::Stream> stream_;
  Instant idle_since_{};
  bool reused_ = false;
  const bool dedicated_;
};

/// Not thread-safe. Must outlive what it has lent and who waits for it.
class ConnectionPool final : private io::Timer, private ConnectionBudget::Pool {
 public:
  static constexpr size_t kMaxIdle = 1024;  // idle connections kept; more are closed
  /// What is wanted of a new connection beside its target.
  struct Wish {
    /// Sent first: a PROXY header, so that the connection is for one client alone and not kept. It lives
    /// until the connection is there.
    std::string_view preface = {};
    /// No TLS of ours even where the target has it: what is passed on is TLS already.
    bool as_it_is = false;
    /// It may carry anything: TLS names no protocol.
    bool opaque = false;
  };

  ConnectionPool(const SharedConnections::Environment& environment, std::shared_ptr<TargetIdentity> target,
                 const Upstream& upstream);
  ~ConnectionPool();

  const std::shared_ptr<TargetIdentity>& target() const { return target_; }
  size_t lent() const { return lent_; }
  size_t idle() const { return idle_count_; }
  /// Whether it must not be destroyed yet.
  bool in_use() const { return lent_ > 0 || opening_ > 0 || waiting_ > 0; }
  /// Nobody knows its target any more but pools of it, here and at other workers.
  bool forgotten() const;

  /// An exchange on a connection at hand, or null. `fresh`: not on one that was kept for one exchange alone.
  http::ClientExchange* start_at_hand(const http::ExchangePlace& place, bool fresh);
  /// An exchange on a new connection, or on one that somebody else is waiting for too. kProtocol: the target
  /// does not agree to HTTP/2 where that is required; else as `connect`.
  io::Task<io::Result<http::ClientExchange*>> start_on_new(http::ExchangePlace place, Duration timeout,
                                                           Wish wish);

  // --- connections for one exchange at a time ---

  /// The idle connection that was used last, or null.
  UpstreamConnection* take_idle();
  /// A new one. Tries the target's addresses in turn until `timeout` has passed for each; kUnresolved when
  /// its name has none, kUnsecured when TLS failed.
  io::Task<io::Result<UpstreamConnection*>> connect(io::CancelToken& token, Duration timeout, Wish wish);
  io::Task<io::Result<UpstreamConnection*>> connect(io::CancelToken& token, Duration timeout) {
    return connect(token, timeout, Wish{});
  }
  /// Every connection taken comes back once; `reusable`: the last response was read to its end. Kept for
  /// `idle` then.
  void give_back(UpstreamConnection* connection, bool reusable);
  void close_idle();
  /// What the upstream says now.
  void adopt(const Upstream& upstream);
  /// Its connections count in the upstream's budget from now on, if it has one.
  void adopt_budget(const Upstream& upstream);
  /// How long idle connections are kept from now on.
  void set_idle_time(Duration idle) {
    idle_time_ = idle;
    shared_.set_idle_time(idle);
  }
  /// No more connections: who waits for one gets an error.
  void close();

 private:
  friend class UpstreamConnection;
  /// A request that waits for a connection which several will share.
  struct Waiter : ListHook {
    explicit Waiter(io::Loop& loop) : signal(loop), since(loop.now()) {}
    io::Signal signal;
    const Instant since;
    std::optional<io::Error> error;
    bool told = false;
  };

  /// What a request that needs a connection has been given.
  struct Admission {
    ConnectionPermit permit;              // for a new one
    UpstreamConnection* given = nullptr;  // or one that another request has given back
  };
  /// A request that waits for a place in the budget, or for a connection of this pool.
  struct Candidate : ListHook {
    std::shared_ptr<store::Gate::Turn> turn;
    UpstreamConnection* given = nullptr;
  };
  /// kFull: there is no place, or it did not come within `timeout`.
  io::Task<io::Result<Admission>> admit(io::CancelToken& token, Duration timeout, bool takes_used);
  void spare_one() override;
  void count_idle(int change);
  io::Task<io::Result<std::unique_ptr<io::Stream>>> open_any(io::CancelToken& token, Duration timeout,
                                                             Wish wish);
  /// Whether a connection may carry several exchanges at once, as far as is known before it is there.
  bool may_share(const Wish& wish) const;
  bool speaks_http2(const io::Stream& stream) const;
  /// Null: the target turned out to speak HTTP/1.
  io::Task<io::Result<http::ClientExchange*>> start_on_shared(http::ExchangePlace place, Duration timeout);
  void share(std::unique_ptr<io::Stream> stream, const http::Limits& limits, ConnectionPermit permit);
  UpstreamConnection& lend(std::unique_ptr<io::Stream> stream, const Wish& wish, ConnectionPermit permit);
  void log_failure(const tls::HandshakeError& error);
  io::Task<> open_shared(Duration timeout, http::Limits limits);
  void tell_waiters();
  size_t tell_waiters(const io::Error& error, Instant until);
  io::Task<io::Result<std::unique_ptr<io::Stream>>> open(io::Address address, io::CancelToken& token,
                                                         Wish wish);
  io::Task<io::Result<std::unique_ptr<io::Stream>>> secure(std::unique_ptr<io::Stream> stream,
                                                           io::CancelToken& token, bool opaque);
  void take_back(UpstreamConnection& connection);
  void keep(UpstreamConnection& connection);
  void drop(UpstreamConnection& connection);
  void on_timer() override;

  io::Loop& loop_;
  std::shared_ptr<TargetIdentity> target_;
  telemetry::WorkerMetrics& metrics_;
  telemetry::Group<telemetry::Gauge, telemetry::PoolState> gauges_;
  telemetry::Counter full_;
  IntrusiveList<UpstreamConnection> idle_;  // the one used last first
  size_t idle_count_ = 0;
  size_t lent_ = 0;
  size_t next_address_ = 0;
  Duration idle_time_{};
  config::UpstreamProtocol protocol_;
  bool chose_http1_ = false;  // where the target chooses, it did so the last time
  SharedConnections shared_;
  io::TaskScope& scope_;
  io::CancelToken token_;          // of what is being opened for sharing
  IntrusiveList<Waiter> waiters_;  // the first one first
  size_t waiting_ = 0;
  size_t opening_ = 0;                        // for sharing
  std::shared_ptr<ConnectionBudget> budget_;  // null: none
  std::shared_ptr<ConnectionBudget::Member> member_;
  BudgetBounds bounds_;
  IntrusiveList<Candidate> candidates_;  // that take a used connection; the first one first
  tls::SessionSlot sessions_;            // of connections over TLS
  LogBound log_bound_;
};

/// The pools of a worker, by TargetIdentity::slot.
class ConnectionPools {
 public:
  ConnectionPools(io::Loop& loop, telemetry::WorkerMetrics& metrics, telemetry::NamedCounters& limit_hits)
      : environment_{loop, metrics, limit_hits, scope_} {}

  /// The pool of a target of `upstream`, whose settings it takes over.
  ConnectionPool& of(const Target& target, const Upstream& upstream);
  /// Drops the pools of targets that no configuration names any more, once nothing of them is lent.
  void forget_unused();
  /// Once no exchange is left: until all connections have ended.
  io::Task<> close();

 private:
  io::TaskScope scope_;
  const SharedConnections::Environment environment_;
  std::vector<std::unique_ptr<ConnectionPool>> pools_;
};

}  // namespace sluice::gateway
