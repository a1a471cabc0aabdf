// A worker's connections to one target: lent for an exchange, kept alive in between.
#pragma once

#include <memory>
#include <vector>

#include "base/intrusive_list.h"
#include "gateway/log_bound.h"
#include "gateway/upstream.h"
#include "http/h1/client_exchange.h"
#include "io/loop.h"
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
  UpstreamConnection(ConnectionPool& pool, std::unique_ptr<io::Stream> stream, bool dedicated)
      : pool_(pool), stream_(std::move(stream)), dedicated_(dedicated) {}

  /// Starts the exchange that it was taken for; its end gives the connection back.
  http::ClientExchange& start(const http::Limits& limits, Arena& arena);
  io::Stream& stream() override { return *stream_; }
  /// It has carried an exchange before: the target may have closed it just now (RFC 9112, section 9.3.1).
  bool reused() const { return reused_; }

 private:
  friend class ConnectionPool;
  void on_disturbed(bool broken) override;
  void on_exchange_end(bool reusable) override;
  http::ClientTunnel& on_upgrade() override { return *this; }
  void end() override;

  ConnectionPool& pool_;
  std::unique_ptr<io::Stream> stream_;
  Instant idle_since_{};
  bool reused_ = false;
  const bool dedicated_;
};

/// Not thread-safe. Must outlive what it has lent.
class ConnectionPool final : private io::Timer {
 public:
  static constexpr size_t kMaxIdle = 1024;  // idle connections kept; more are closed

  ConnectionPool(io::Loop& loop, std::shared_ptr<TargetIdentity> target, telemetry::WorkerMetrics& metrics,
                 const Upstream& upstream);
  ~ConnectionPool();

  const std::shared_ptr<TargetIdentity>& target() const { return target_; }
  size_t lent() const { return lent_; }
  size_t idle() const { return idle_count_; }

  /// The idle connection that was used last, or null.
  UpstreamConnection* take_idle();
  /// A new one. Tries the target's addresses in turn until `timeout` has passed for each; kUnresolved when
  /// its name has none, kUnsecured when TLS failed. What is sent first may be given as `preface`, and lives
  /// until this returns: a PROXY header, so that the connection is for one client alone and not kept.
  io::Task<io::Result<UpstreamConnection*>> connect(io::CancelToken& token, Duration timeout,
                                                    std::string_view preface = {});
  /// Every connection taken comes back once; `reusable`: the last response was read to its end. Kept for
  /// `idle` then.
  void give_back(UpstreamConnection* connection, bool reusable);
  void close_idle();
  /// How long idle connections are kept from now on.
  void set_idle_time(Duration idle) { idle_time_ = idle; }

 private:
  friend class UpstreamConnection;
  io::Task<io::Result<std::unique_ptr<io::Stream>>> open(io::Address address, io::CancelToken& token,
                                                         std::string_view preface);
  io::Task<io::Result<std::unique_ptr<io::Stream>>> secure(std::unique_ptr<io::Stream> stream,
                                                           io::CancelToken& token);
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
  tls::SessionSlot sessions_;  // of connections over TLS
  LogBound log_bound_;
};

/// The pools of a worker, by TargetIdentity::slot.
class ConnectionPools {
 public:
  ConnectionPools(io::Loop& loop, telemetry::WorkerMetrics& metrics) : loop_(loop), metrics_(metrics) {}

  /// The pool of a target of `upstream`, whose idle time and gauges it takes over.
  ConnectionPool& of(const Target& target, const Upstream& upstream);
  /// Drops the pools of targets that no configuration names any more, once nothing of them is lent.
  void forget_unused();
  void close_idle();

 private:
  io::Loop& loop_;
  telemetry::WorkerMetrics& metrics_;
  std::vector<std::unique_ptr<ConnectionPool>> pools_;
};

}  // namespace sluice::gateway
