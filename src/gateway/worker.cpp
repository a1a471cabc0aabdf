#include "gateway/worker.h"

#include <fmt/format.h>
#include <unistd.h>

#include "gateway/tunnel.h"
#include "telemetry/process_log.h"

namespace sluice::gateway {

namespace {

/// Of a request's body while the client is waited for: what trickles in more slowly is refused with 408. Slow
/// enough for any real network, fast enough that no connection is held for ever.
constexpr uint64_t kLeastUploadBytes = 512;

handover::SocketKind socket_kind(config::ListenerProtocol protocol) {
  return protocol == config::ListenerProtocol::kUdp ? handover::SocketKind::kDatagrams
                                                    : handover::SocketKind::kShared;
}

}  // namespace

Worker::Worker(io::Loop& loop, Services& services, std::unique_ptr<telemetry::AccessLog> log,
               telemetry::WorkerMetrics& metrics, std::shared_ptr<const Snapshot> snapshot)
    : loop_(loop),
      services_(services),
      number_(services.workers.fetch_add(1, std::memory_order_relaxed)),
      metrics_(metrics),
      refused_(services.metrics.refused()),
      limit_hits_(services.metrics.limit_hits()),
      websockets_ended_(services.metrics.websockets_ended()),
      websocket_closes_(services.metrics.websocket_closes()),
      websockets_(services.metrics.websockets()),
      log_(std::move(log)),
      epoch_(services.epochs),
      snapshot_(std::move(snapshot)),
      pools_(loop, metrics, limit_hits_),
      redis_(loop, metrics, pools_) {
  epoch_.online();
  loop_.observe(this);
}

Worker::~Worker() { loop_.observe(nullptr); }

void Worker::before_wait() { epoch_.offline(); }
void Worker::after_wait() { epoch_.online(); }
void Worker::between_turns() { epoch_.quiescent(); }

void Worker::LogFlush::line_written() {
  if (!armed()) worker_.loop_.timers().arm(*this, worker_.loop_.now() + telemetry::AccessLog::kFlushInterval);
}
void Worker::LogFlush::on_timer() { worker_.log_->flush(); }

std::expected<void, std::string> Worker::listen() {
  const auto& wanted = snapshot_->listeners;
  auto same = [](const ListenerSettings& a, const ListenerSettings& b) {
    return a.number == b.number && a.address == b.address && a.protocol == b.protocol;
  };
  for (auto& listening : listening_) {
    bool stays = std::any_of(wanted.begin(), wanted.end(),
                             [&](const auto& w) { return same(w, listening->settings); });
    if (!stays) listening->token.cancel(io::CancelReason::kDrain);
  }
  forget_moved();
  for (const ListenerSettings& settings : wanted) {
    bool known = false;  // by several sockets when a predecessor had more workers
    for (auto& listening : listening_) {
      if (listening->token.cancelled() || !same(listening->settings, settings)) continue;
      listening->settings = settings;
      known = true;
    }
    if (known) continue;
    auto opened = open(settings);
    if (!opened)
      return std::unexpected(fmt::format("listener `{}` cannot listen on {}: {}", settings.name,
                                         settings.address.text(), io::error_text(opened.error().code)));
  }
  return {};
}

/// Of a listener that moved only the newest entry is needed: connections find it by their listener's number.
void Worker::forget_moved() {
  for (size_t i = 0; i < listening_.size();) {
    auto moved = [&](const auto& newer) { return newer->settings.number == listening_[i]->settings.number; };
    auto behind = listening_.begin() + static_cast<std::ptrdiff_t>(i);
    if (listening_[i]->closed() && std::any_of(behind + 1, listening_.end(), moved))
      listening_.erase(behind);
    else
      ++i;
  }
}

io::Result<> Worker::open(const ListenerSettings& settings) {
  auto inherited = services_.inherited.take(socket_kind(settings.protocol), settings.address, number_);
  if (inherited.empty()) return listen_on(settings, -1);
  for (int descriptor : inherited) {
    auto opened = listen_on(settings, descriptor);
    if (!opened) return opened;
  }
  return {};
}

/// On a socket that a predecessor has handed over, or, below zero, on a new one.
io::Result<> Worker::listen_on(const ListenerSettings& settings, int inherited) {
  auto listening = std::make_unique<Listening>(*this, settings);
  Listening& opened = *listening;
  if (settings.protocol == config::ListenerProtocol::kUdp) {
    auto socket = loop_.open_datagrams(settings.address, {.reuse_port = true,
                                                          .waiting_bytes = settings.waiting_bytes,
                                                          .remote = std::nullopt,
                                                          .inherited = inherited});
    if (!socket) return std::unexpected(socket.error());
    opened.datagrams =
        std::make_unique<DatagramRelay>(*this, std::move(*socket), opened.settings, opened.token);
    listening_.push_back(std::move(listening));
    scope_.spawn(relay_datagrams(opened));
    return {};
  }
  auto listener = loop_.listen(settings.address, {.reuse_port = true, .inherited = inherited});
  if (!listener) return std::unexpected(listener.error());
  opened.listener = std::move(*listener);
  opened.listener->bind(opened.token);
  listening_.push_back(std::move(listening));
  scope_.spawn(accept_from(opened));
  return {};
}

io::Task<> Worker::accept_from(Listening& listening) {
  co_await io::accept_connections(loop_, *listening.listener, listening.acceptor, listening.token);
  listening.listener.reset();
}

io::Task<> Worker::relay_datagrams(Listening& listening) {
  co_await listening.datagrams->run();
  listening.datagrams.reset();
}

void Worker::publish(const SnapshotChange& change) {
  snapshot_ = change.next;
  pins_.retire(change.retired);
  redis_.forget_unused();
  forget_unused_pools();
}

void Worker::forget_unused_pools() { pools_.forget_unused(); }

io::Result<std::vector<int>> Worker::duplicate_sockets() {
  std::vector<int> duplicates;
  for (auto& listening : listening_) {
    if (listening->token.cancelled()) continue;
    auto duplicate =
        listening->listener ? listening->listener->duplicate() : listening->datagrams->duplicate_socket();
    if (duplicate) {
      duplicates.push_back(*duplicate);
      continue;
    }
    for (int made : duplicates) close(made);
    return std::unexpected(duplicate.error());
  }
  return duplicates;
}

void Worker::drain(io::CancelReason why) {
  draining_ = true;
  for (auto& listening : listening_) listening->token.cancel(why);
  background_.token.cancel(io::CancelReason::kDrain);
  connections_.for_each([](http::Connection& connection) { connection.drain(); });
  tunnels_.for_each([](Tunnel& tunnel) { tunnel.drain(); });
}

void Worker::add_tunnel(Tunnel& tunnel) {
  tunnels_.push_back(tunnel);
  metrics_.add(websockets_.open, 1);
  if (draining_) tunnel.drain();
}

void Worker::cancel_all(io::CancelReason reason) {
  connections_.for_each([&](http::Connection& connection) { connection.cancel(reason); });
}

io::Task<> Worker::join() {
  co_await scope_.join();
  co_await redis_.close();
  co_await pools_.close();
  if (log_) log_->flush();
}

std::string_view Worker::listener_name(uint16_t number) const {
  for (const auto& listening : listening_)
    if (listening->settings.number == number) return listening->settings.name;
  return {};
}

http::TransferWatch::Bounds Worker::download_bounds() const {
  return {.interval = std::min(snapshot_->timeouts.body_progress, snapshot_->stream_idle),
          .source_idle = snapshot_->stream_idle,
          .source_bytes = 0,
          .sink_idle = snapshot_->timeouts.body_progress};
}

http::TransferWatch::Bounds Worker::upload_bounds() const {
  return {.interval = std::min(snapshot_->timeouts.body_progress, snapshot_->stream_idle),
          .source_idle = snapshot_->timeouts.body_progress,
          .source_bytes = kLeastUploadBytes,
          .sink_idle = snapshot_->stream_idle};
}

void Worker::report_fault(Exchange& exchange, std::string_view what) {
  telemetry::log::error("request {} failed inside the gateway: {}", exchange.request_id(), what);
}

bool Worker::admit(const io::Address& peer) {
  switch (services_.connections.admit(peer, snapshot_->connections, snapshot_->trusts(peer))) {
    case ConnectionLimits::Verdict::kAdmitted:
      return true;
    case ConnectionLimits::Verdict::kTotal:
      count_limit("connections");
      return false;
    case ConnectionLimits::Verdict::kAddress:
      count_limit("connections_per_address");
      return false;
    case ConnectionLimits::Verdict::kDescriptors:
      count_limit("descriptors");
      return false;
  }
  return false;
}

void Worker::count_connections(uint16_t listener, int open, int active) {
  using State = telemetry::ConnectionState;
  for (const auto& listening : listening_) {
    if (listening->settings.number != listener) continue;
    // Open counts the idle ones too: what becomes active is idle no more.
    if (open - active) metrics_.add(listening->connections[State::kIdle], open - active);
    if (active) metrics_.add(listening->connections[State::kActive], active);
    return;
  }
}

}  // namespace sluice::gateway
