// A worker: one event loop's share of the data plane. Accepts connections and walks each request down the
// corridor.
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/intrusive_list.h"
#include "gateway/connection_pool.h"
#include "gateway/exchange.h"
#include "gateway/plan_pins.h"
#include "gateway/queue_delay.h"
#include "gateway/redis/client.h"
#include "gateway/services.h"
#include "gateway/snapshot.h"
#include "gateway/stream/datagram_relay.h"
#include "gateway/stream/listener_acceptor.h"
#include "http/date.h"
#include "http/server.h"
#include "io/loop.h"
#include "io/scope.h"
#include "store/epoch.h"
#include "telemetry/access_log.h"

namespace sluice::gateway {

class PrefixedBody;
class Tunnel;
struct TunnelEnd;

/// Lives on one loop's thread from its constructor to its destructor; `join` must have returned before that.
class Worker final : public http::RequestHandler, private io::Loop::Observer {
 public:
  /// `log` may be null: no access log.
  Worker(io::Loop& loop, Services& services, std::unique_ptr<telemetry::AccessLog> log,
         telemetry::WorkerMetrics& metrics, std::shared_ptr<const Snapshot> snapshot);
  ~Worker();

  /// Listens on what the snapshot says: opens what is missing, closes what is gone. With the first error the
  /// rest is left as it is; the text says which address.
  std::expected<void, std::string> listen();
  /// New requests see the new snapshot; those in hand go on with the plan that they began with.
  void publish(const SnapshotChange& change);
  /// Of targets that nobody names any more.
  void forget_unused_pools();
  /// Descriptors of its own of every socket that it listens on, for a successor; they are the caller's.
  io::Result<std::vector<int>> duplicate_sockets();
  /// Connections say goodbye: no more are accepted but those that wait already, idle ones end, the others end
  /// with their response. `kHandedOver`: another process listens on the same sockets.
  void drain(io::CancelReason why = io::CancelReason::kDrain);
  /// Ends what is left.
  void cancel_all(io::CancelReason reason);
  /// Until every connection has ended; after `drain`.
  io::Task<> join();

  // --- for exchanges, policies and handlers ---
  io::Loop& loop() { return loop_; }
  telemetry::WorkerMetrics& metrics() { return metrics_; }
  telemetry::TlsMetrics tls_metrics(std::string_view listener) { return services_.metrics.tls(listener); }
  ConnectionPools& pools() { return pools_; }
  RedisClient& redis(const std::shared_ptr<const RedisStore>& store) { return redis_.of(store); }
  /// Of those of the process, from zero.
  size_t number() const { return number_; }
  HealthReports& health() { return services_.health; }
  const Snapshot& snapshot() const { return *snapshot_; }
  std::string_view listener_name(uint16_t number) const;
  /// How a response to a client is watched.
  http::TransferWatch::Bounds download_bounds() const;
  /// How a request's body is watched on its way from the client to an upstream.
  http::TransferWatch::Bounds upload_bounds() const;
  /// A policy or handler threw: a bug; the exchange ends with 500.
  void report_fault(Exchange& exchange, std::string_view what);
  /// After the last byte: metrics and the access log. The log of what became a tunnel is left to that.
  void account(Exchange& exchange);
  /// A tunnel has begun; it takes itself out of the list.
  void add_tunnel(Tunnel& tunnel);
  void account_tunnel(const TunnelEnd& end, uint64_t received, uint64_t sent);
  /// Only where there is an access log.
  void log(const telemetry::AccessRecord& record);

  /// What goes on beside exchanges, until the drain begins.
  struct Background {
    io::CancelToken token;
    size_t mirrored = 0;  // copies of requests on their way
  };
  Background& background() { return background_; }

  // --- for connections that are no HTTP, or not yet ---
  io::TaskScope& scope() { return scope_; }
  http::Connections& connections() { return connections_; }
  void count_refused(std::string_view code) { metrics_.add(refused_[code]); }
  /// A line of the access log for one that took `total`; the record's other fields are the caller's.
  void log_connection(telemetry::AccessRecord& record, uint16_t listener, const io::Address& peer,
                      Duration total);

  // --- http::RequestHandler ---
  const http::Limits& limits() const override { return snapshot_->limits; }
  const http::ServerTimeouts& timeouts() const override { return snapshot_->timeouts; }
  std::string_view date() override { return date_.at(loop_.wall_now()); }
  io::Task<> handle(http::ServerExchange& server) override;
  void count_connections(uint16_t listener, int open, int active) override;
  void count_limit(std::string_view limit) override { metrics_.add(limit_hits_[limit]); }
  bool admit(const io::Address& peer) override;
  void release(const io::Address& peer) override { services_.connections.release(peer); }
  bool draining() const override { return draining_; }
  bool measures_queue() override {
    return snapshot_->queue_delay > Duration::zero() && queue_delay_.wants_sample(loop_.now());
  }

 private:
  struct Listening {
    Listening(Worker& worker, const ListenerSettings& listener_settings)
        : settings(listener_settings),
          connections(worker.services_.metrics.connections(settings.name)),
          acceptor(worker, settings) {}

    ListenerSettings settings;  // as of the last reload that has it
    telemetry::Group<telemetry::Gauge, telemetry::ConnectionState> connections;
    std::unique_ptr<io::Listener> listener;    // of TCP
    std::unique_ptr<DatagramRelay> datagrams;  // of UDP
    io::CancelToken token;
    ListenerAcceptor acceptor;
    bool closed() const { return !listener && !datagrams; }
  };

  /// True: the worker is behind, and this request has waited for too long already.
  bool sheds(const http::ServerExchange& server) {
    return server.queued && queue_delay_.sheds(*server.queued, snapshot_->queue_delay, loop_.now());
  }
  /// An answer that needs no route: the listener sends everybody to `https`, or the host asked for has
  /// another client-certificate rule than the handshake had. False: there is none.
  bool answer_by_listener(Exchange& exchange);
  void count_call(const Exchange& exchange, http::GrpcStatus status);
  /// Without what is to be said of the answer.
  telemetry::AccessRecord record_of(Exchange& exchange) const;
  io::Task<std::optional<http::Error>> read_prefix(Exchange& exchange, PrefixedBody& body);
  io::Result<> open(const ListenerSettings& settings);
  io::Result<> listen_on(const ListenerSettings& settings, int inherited);
  void forget_moved();
  io::Task<> accept_from(Listening& listening);
  io::Task<> relay_datagrams(Listening& listening);
  /// Hands the access log over, a while after the first line that waits for it.
  class LogFlush final : private io::Timer {
   public:
    explicit LogFlush(Worker& worker) : worker_(worker) {}
    ~LogFlush() { disarm(); }
    void line_written();

   private:
    void on_timer() override;
    Worker& worker_;
  };

  void before_wait() override;
  void after_wait() override;
  void between_turns() override;

  io::Loop& loop_;
  Services& services_;
  const size_t number_;
  telemetry::WorkerMetrics& metrics_;
  telemetry::NamedCounters refused_;
  telemetry::NamedCounters limit_hits_;
  telemetry::NamedCounters websockets_ended_;
  telemetry::NamedCounters websocket_closes_;
  telemetry::WebSocketMetrics websockets_;
  std::unique_ptr<telemetry::AccessLog> log_;
  LogFlush log_flush_{*this};
  store::EpochReader epoch_;
  std::shared_ptr<const Snapshot> snapshot_;
  PlanPins pins_;
  ConnectionPools pools_;
  RedisClients redis_;
  QueueDelay queue_delay_;
  http::DateCache date_;
  std::vector<std::unique_ptr<Listening>> listening_;
  http::Connections connections_;
  IntrusiveList<Tunnel> tunnels_;
  Background background_;
  io::TaskScope scope_;
  bool draining_ = false;
};

}  // namespace sluice::gateway
