#include "gateway/shared_connections.h"

namespace sluice::gateway {

using telemetry::PoolState;

/// One connection, as long as it lives; linked while it takes exchanges.
class SharedConnections::Entry final : public ListHook, private http::h2::ClientConnection::Owner {
 public:
  Entry(SharedConnections& shared, std::unique_ptr<io::Stream> stream,
        const http::h2::ClientConnection::Settings& settings, ConnectionPermit permit)
      : permit_(std::move(permit)),
        shared_(shared),
        environment_(shared.environment_),
        gauges_(shared.gauges_),
        connection_(new http::h2::ClientConnection(environment_.loop, std::move(stream), settings, *this)) {
    environment_.metrics.add(gauges_[PoolState::kIdle], 1);
  }
  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;

  http::h2::ClientConnection& connection() { return *connection_; }

 private:
  ~Entry() { environment_.metrics.add(gauges_[state()], -1); }

  PoolState state() const { return active_ ? PoolState::kActive : PoolState::kIdle; }
  void on_load() override {
    if (linked()) shared_.usual_room_ = std::max(1u, connection_->most_requests());
    bool active = connection_->active() > 0;
    if (active == active_) return;
    environment_.metrics.add(gauges_[state()], -1);
    active_ = active;
    environment_.metrics.add(gauges_[state()], 1);
    if (!active && linked()) shared_.await_idle();
  }
  void on_closing() override { unlink(); }
  void on_limit(std::string_view limit) override { environment_.metrics.add(environment_.limit_hits[limit]); }
  void on_ended() override { delete this; }

  const ConnectionPermit permit_;
  SharedConnections& shared_;  // only while it is linked
  const Environment environment_;
  telemetry::Group<telemetry::Gauge, PoolState> gauges_;
  http::h2::ClientConnection* const connection_;
  bool active_ = false;
};

SharedConnections::SharedConnections(const Environment& environment,
                                     const telemetry::UpstreamMetrics& upstream)
    : environment_(environment), gauges_(upstream.connections), idle_time_(std::chrono::seconds(60)) {}

SharedConnections::~SharedConnections() {
  close();
  disarm();
}

http::ClientExchange* SharedConnections::start(const http::ExchangePlace& place) {
  http::ClientExchange* exchange = nullptr;
  connections_.for_each([&](Entry& entry) {
    if (!exchange && entry.connection().has_room()) exchange = &entry.connection().start(place);
  });
  return exchange;
}

void SharedConnections::add(std::unique_ptr<io::Stream> stream, std::string_view scheme,
                            const http::Limits& limits, ConnectionPermit permit) {
  auto* entry =
      new Entry(*this, std::move(stream),
                {.scheme = scheme, .head_bytes = limits.response_head, .most_requests = usual_room_},
                std::move(permit));
  connections_.push_back(*entry);
  await_idle();
  environment_.scope.spawn(http::h2::ClientConnection::run(entry->connection()));  // it may be gone already
}

void SharedConnections::await_idle() {
  if (!armed()) environment_.loop.timers().arm(*this, environment_.loop.now() + idle_time_);
}

void SharedConnections::close() {
  while (!connections_.empty()) connections_.front().connection().close();
}

void SharedConnections::on_timer() {
  Instant now = environment_.loop.now();
  Instant next = kNever;
  connections_.for_each([&](Entry& entry) {
    http::h2::ClientConnection& connection = entry.connection();
    if (connection.active() > 0) return;
    Instant ends = connection.idle_since() + idle_time_;
    if (ends <= now)
      connection.close();
    else
      next = std::min(next, ends);
  });
  if (next != kNever) environment_.loop.timers().arm(*this, next);
}

}  // namespace sluice::gateway
