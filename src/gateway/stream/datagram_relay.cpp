#include "gateway/stream/datagram_relay.h"

#include <array>

#include "base/hash.h"
#include "gateway/worker.h"
#include "io/sleep.h"

namespace sluice::gateway {

namespace {

using telemetry::DatagramFate;
using telemetry::ErrorBy;
using telemetry::StreamDirection;
using telemetry::StreamResult;
using telemetry::UpstreamResult;

/// Batches of one socket in a row before the loop's other work has a turn.
constexpr int kBatchesInARow = 8;
/// After an error that may stay for a while: time for it to go.
constexpr Duration kErrorPause = std::chrono::milliseconds(20);
/// How long a session lasts without a datagram once the worker drains.
constexpr Duration kDrainIdle = std::chrono::seconds(2);

}  // namespace

/// One client of a UDP stream. In the worker's list of connections, so that it is drained and cancelled as
/// they are.
class DatagramSession final : public http::Connection, private io::Timer {
 public:
  DatagramSession(DatagramRelay& relay, std::shared_ptr<const StreamPlan> plan, TargetPointer target,
                  std::unique_ptr<io::DatagramSocket> server, const io::Datagram& first)
      : relay_(relay),
        worker_(relay.worker_),
        plan_(std::move(plan)),
        target_(std::move(target)),
        counted_(plan_->upstream->balancer().counts_requests()),
        server_(std::move(server)),
        client_(first.peer),
        local_(first.local),
        began_(worker_.loop().now()),
        active_(began_) {
    server_->bind(token_);
    if (counted_) target_->identity->load.enter();
    worker_.connections().push_back(*this);
    worker_.count_connections(relay_.settings_.number, 1, 1);
    arm();
  }
  ~DatagramSession() {
    disarm();
    if (counted_) target_->identity->load.leave();
    worker_.count_connections(relay_.settings_.number, -1, -1);
    worker_.release(client_);
    plan_->state->leave();
    log();
  }

  const io::Address& client() const { return client_; }
  void drain() override {
    draining_ = true;
    if (!token_.cancelled()) arm();
  }
  void cancel(io::CancelReason reason) override {
    if (token_.cancelled()) return;
    end(StreamResult::kCancelled, ErrorBy::kGateway, io::cancel_reason_text(reason));
  }

  /// Of this client, all of them; sent in one call.
  void from_client(std::span<const io::Datagram> datagrams) {
    active_ = worker_.loop().now();
    std::array<io::Datagram, io::DatagramSocket::kBatch> outgoing;
    size_t count = 0;
    size_t bytes = 0;
    for (const io::Datagram& datagram : datagrams) {
      if (datagram.bytes.size() > plan_->datagram) continue;
      outgoing[count++] = {.peer = {}, .local = {}, .bytes = datagram.bytes};
      bytes += datagram.bytes.size();
    }
    size_t sent = server_->send({outgoing.data(), count});
    count_passed(DatagramFate::kFromClient, StreamDirection::kFromClient, sent, bytes);
    count_dropped(datagrams.size() - sent);
    from_client_ += bytes;
  }

  /// What the target sends goes to the client.
  io::Task<> run() {
    for (int batches = 1; !token_.cancelled(); ++batches) {
      auto received = co_await server_->receive();
      if (!received) {
        on_error(received.error());
        continue;
      }
      to_client(*received);
      if (batches % kBatchesInARow == 0) co_await worker_.loop().yield();
    }
  }

 private:
  void to_client(io::DatagramSocket::Received datagrams) {
    active_ = worker_.loop().now();
    std::array<io::Datagram, io::DatagramSocket::kBatch> outgoing;
    size_t bytes = 0;
    for (size_t i = 0; i < datagrams.size(); ++i) {
      outgoing[i] = {.peer = client_, .local = local_, .bytes = datagrams[i].bytes};
      bytes += datagrams[i].bytes.size();
    }
    size_t sent = relay_.socket_->send({outgoing.data(), datagrams.size()});
    count_passed(DatagramFate::kToClient, StreamDirection::kToClient, sent, bytes);
    count_dropped(datagrams.size() - sent);
    to_client_ += bytes;
    responses_ += datagrams.size();
    if (plan_->responses > 0 && responses_ >= plan_->responses)
      end(StreamResult::kComplete, ErrorBy::kNobody, {});
  }

  void on_error(const io::Error& error) {
    if (token_.cancelled()) return;
    // ICMP: nobody listens there. The client's next datagram begins a session with the next target.
    worker_.metrics().add(plan_->upstream->metrics.requests[UpstreamResult::kConnectFailure]);
    end(StreamResult::kServerFailed, ErrorBy::kUpstream,
        error.code == io::ErrorCode::kRefused ? "upstream_refused" : "upstream_unreachable");
  }

  void end(StreamResult result, ErrorBy by, std::string_view code) {
    result_ = result;
    error_by_ = by;
    error_code_ = code;
    disarm();
    relay_.forget(*this);
    token_.cancel(io::CancelReason::kShed);
  }

  Duration idle() const {
    if (!draining_) return plan_->idle;
    return plan_->idle > Duration::zero() ? std::min(plan_->idle, kDrainIdle) : kDrainIdle;
  }
  void arm() {
    if (idle() > Duration::zero()) worker_.loop().timers().arm(*this, active_ + idle());
  }
  void on_timer() override {
    if (worker_.loop().now() < active_ + idle()) return arm();
    end(StreamResult::kIdle, ErrorBy::kNobody, {});
  }

  void count_passed(DatagramFate fate, StreamDirection direction, size_t datagrams, size_t bytes) {
    worker_.metrics().add(plan_->metrics.datagrams[fate], datagrams);
    worker_.metrics().add(plan_->metrics.bytes[direction], bytes);
  }
  void count_dropped(size_t datagrams) {
    if (datagrams > 0) worker_.metrics().add(plan_->metrics.datagrams[DatagramFate::kDropped], datagrams);
  }

  void log() {
    worker_.metrics().add(plan_->metrics.sessions[result_]);
    if (!plan_->log) return;
    telemetry::AccessRecord record;
    record.stream = plan_->name;
    record.protocol = "udp";
    record.error_by = error_by_;
    record.error_code = error_code_;
    record.upstream = plan_->upstream->name;
    record.target = target_->authority;
    record.tries = 1;
    record.request_bytes = from_client_;
    record.response_bytes = to_client_;
    worker_.log_connection(record, relay_.settings_.number, client_, worker_.loop().now() - began_);
  }

  DatagramRelay& relay_;
  Worker& worker_;
  std::shared_ptr<const StreamPlan> plan_;
  const TargetPointer target_;
  const bool counted_;  // among the target's requests
  std::unique_ptr<io::DatagramSocket> server_;
  const io::Address client_;
  const io::Address local_;  // that it has sent to, and is answered from
  const Instant began_;
  Instant active_;  // the last datagram, either way
  io::CancelToken token_;
  uint64_t from_client_ = 0;
  uint64_t to_client_ = 0;
  uint64_t responses_ = 0;
  bool draining_ = false;
  StreamResult result_ = StreamResult::kIdle;
  ErrorBy error_by_ = ErrorBy::kNobody;
  std::string_view error_code_;
};

namespace {

io::Task<> serve(std::unique_ptr<DatagramSession> session) { co_await session->run(); }

}  // namespace

size_t DatagramRelay::Hash::operator()(const io::Address& address) const {
  std::string_view bytes(reinterpret_cast<const char*>(address.bytes.data()), address.bytes.size());
  return mix64(hash64(bytes, seed) ^ address.port);
}

DatagramRelay::DatagramRelay(Worker& worker, std::unique_ptr<io::DatagramSocket> socket,
                             const ListenerSettings& settings, io::CancelToken& token)
    : worker_(worker),
      socket_(std::move(socket)),
      settings_(settings),
      token_(token),
      sessions_(0, Hash{worker.loop().random().next()}) {
  bind(token);
  socket_->bind(socket_token_);
}

DatagramRelay::~DatagramRelay() { unbind(); }

void DatagramRelay::on_cancel() {
  draining_ = true;
  for (auto& [client, session] : sessions_) session->drain();
  // What a successor reads from the same socket is its own; answers that are under way still leave by it.
  if (sessions_.empty() || token_.reason() == io::CancelReason::kHandedOver)
    socket_token_.cancel(io::CancelReason::kDrain);
}

io::Task<> DatagramRelay::run() {
  for (int batches = 1;; ++batches) {
    auto received = co_await socket_->receive();
    if (received) {
      forward(*received);
      if (batches % kBatchesInARow == 0) co_await worker_.loop().yield();
      continue;
    }
    if (received.error().code == io::ErrorCode::kCancelled) break;
    auto slept = co_await io::sleep_for(worker_.loop(), kErrorPause, socket_token_);
    if (!slept) break;
  }
  co_await scope_.join();
  socket_.reset();
}

void DatagramRelay::forward(io::DatagramSocket::Received received) {
  while (!received.empty()) {
    size_t count = 1;  // in a row of one client
    while (count < received.size() && received[count].peer == received[0].peer) ++count;
    if (DatagramSession* session = session_of(received[0])) {
      session->from_client(received.first(count));
    } else if (const StreamRoutes* routes = settings_.streams.get(); routes && routes->without_look()) {
      worker_.metrics().add(routes->without_look()->metrics.datagrams[DatagramFate::kDropped], count);
    }
    received = received.subspan(count);
  }
}

DatagramSession* DatagramRelay::session_of(const io::Datagram& datagram) {
  auto known = sessions_.find(datagram.peer);
  if (known != sessions_.end()) return known->second;
  return draining_ ? nullptr : begin(datagram);
}

DatagramSession* DatagramRelay::begin(const io::Datagram& datagram) {
  if (!settings_.streams || !settings_.streams->without_look()) return nullptr;
  std::shared_ptr<const StreamPlan> plan = settings_.streams->without_look();
  const Upstream& upstream = *plan->upstream;
  BalanceRequest request{.random = worker_.loop().random(), .now = worker_.loop().now()};
  if (upstream.balancer().hash_key()) request.hash = hash64(datagram.peer.ip_text());
  TargetPointer target = upstream.choose(request);
  const TargetIdentity::Addresses* addresses = target ? target->identity->addresses() : nullptr;
  if (!addresses || addresses->empty()) {
    worker_.metrics().add(upstream.metrics.requests[UpstreamResult::kNoTarget]);
    return nullptr;
  }
  if (!plan->state->enter(plan->most)) {
    worker_.count_limit("stream_sessions");
    return nullptr;
  }
  if (!worker_.admit(datagram.peer)) {
    plan->state->leave();
    return nullptr;
  }
  io::Address to = (*addresses)[next_address_++ % addresses->size()];
  io::Address from{.ipv6 = to.ipv6, .port = 0, .bytes = {}};
  auto server = worker_.loop().open_datagrams(
      from, {.reuse_port = false, .waiting_bytes = settings_.waiting_bytes, .remote = to});
  if (!server) {
    if (server.error().code == io::ErrorCode::kNoDescriptors) worker_.count_limit("descriptors");
    worker_.metrics().add(upstream.metrics.requests[UpstreamResult::kConnectFailure]);
    plan->state->leave();
    worker_.release(datagram.peer);
    return nullptr;
  }
  auto session = std::make_unique<DatagramSession>(*this, std::move(plan), std::move(target),
                                                   std::move(*server), datagram);
  DatagramSession* begun = session.get();
  sessions_.emplace(begun->client(), begun);
  scope_.spawn(serve(std::move(session)));
  return begun;
}

void DatagramRelay::forget(DatagramSession& session) {
  sessions_.erase(session.client());
  if (draining_ && sessions_.empty()) socket_token_.cancel(io::CancelReason::kDrain);
}

}  // namespace sluice::gateway
