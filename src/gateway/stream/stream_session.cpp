#include "gateway/stream/stream_session.h"

#include "gateway/worker.h"
#include "io/proxy_protocol.h"

namespace sluice::gateway {

namespace {

using telemetry::ErrorBy;
using telemetry::RetryReason;
using telemetry::StreamDirection;
using telemetry::StreamResult;
using telemetry::UpstreamResult;

/// Counts what passes, as it passes: a connection may last for weeks.
class CountingTap final : public io::RelayTap {
 public:
  CountingTap(telemetry::WorkerMetrics& metrics, telemetry::Counter counter)
      : metrics_(metrics), counter_(counter) {}
  size_t pass(std::string_view bytes) override {
    metrics_.add(counter_, bytes.size());
    return bytes.size();
  }

 private:
  telemetry::WorkerMetrics& metrics_;
  telemetry::Counter counter_;
};

/// What a target's health is told of a connection that stands: as good as a status of HTTP.
constexpr int kConnected = 200;

class StreamSession final : public http::Connection, private io::Stream::Observer {
 public:
  StreamSession(Worker& worker, std::unique_ptr<io::Stream> client, std::shared_ptr<const StreamPlan> plan,
                StreamOpening opening)
      : worker_(worker),
        client_(std::move(client)),
        plan_(std::move(plan)),
        opening_(std::move(opening)),
        began_(worker.loop().now()) {
    worker_.count_connections(opening_.listener, 1, 1);
    worker_.connections().push_back(*this);
  }
  ~StreamSession() {
    leave_target();
    worker_.count_connections(opening_.listener, -1, -1);
    worker_.release(client_->peer());
  }

  /// Nobody knows where what it carries could be cut: it goes on, until the drain's time is over.
  void drain() override {}
  void cancel(io::CancelReason reason) override { token_.cancel(reason); }

  io::Task<> run() {
    bool admitted = plan_->state->enter(plan_->most);
    if (!admitted) {
      worker_.count_limit("stream_connections");
      end(StreamResult::kLimited, ErrorBy::kGateway, "stream_connections");
      client_->abort();
      co_return;
    }
    client_->bind(token_);
    client_->observe(this);
    bool connected = co_await connect();
    if (connected) {
      co_await relay();
      pool_->give_back(server_, false);
    } else {
      client_->abort();
    }
    plan_->state->leave();
  }

 private:
  void on_disturbed(bool broken) override {
    if (broken) token_.cancel(io::CancelReason::kClientGone);
  }

  /// One target after another, as often as the upstream's `retry` allows.
  io::Task<bool> connect() {
    const Upstream& upstream = *plan_->upstream;
    uint32_t attempts = upstream.retry.on_connect_failure ? upstream.retry.attempts : 1;
    TriedTargets tried;
    std::optional<uint64_t> hash;
    if (upstream.balancer().hash_key()) hash = hash64(client_->peer().ip_text());
    std::string preface;
    if (upstream.names_client()) {
      bool told = opening_.destination.port != 0;
      preface = upstream.proxy_header(client_->peer(), told ? opening_.destination : client_->local());
    }
    ConnectionPool::Wish wish{
        .preface = preface, .as_it_is = plan_->tls && !plan_->terminates, .opaque = true};
    for (;;) {
      leave_target();
      target_ = upstream.choose({.random = worker_.loop().random(),
                                 .now = worker_.loop().now(),
                                 .hash = hash,
                                 .tried = tries_ > 0 ? &tried : nullptr});
      if (!target_) {
        worker_.metrics().add(upstream.metrics.requests[UpstreamResult::kNoTarget]);
        end(StreamResult::kNoTarget, ErrorBy::kGateway, "no_target");
        co_return false;
      }
      ++tries_;
      tried.add(target_->number);
      if (tried.size() >= upstream.view().members.size()) tried.clear();
      if (upstream.balancer().counts_requests()) {
        counted_ = true;
        target_->identity->load.enter();
      }
      pool_ = &worker_.pools().of(*target_, upstream);
      auto connected = co_await pool_->connect(token_, upstream.timeouts.connect, wish);
      bool full = !connected && connected.error().code == io::ErrorCode::kFull;
      bool cancelled = !connected && token_.cancelled();
      if (!cancelled && !full && upstream.record(*target_, connected ? kConnected : 0))
        worker_.health().failing(target_->identity);
      if (connected) {
        server_ = *connected;
        co_return true;
      }
      if (token_.cancelled()) {
        worker_.metrics().add(upstream.metrics.requests[UpstreamResult::kCancelled]);
        end_cancelled();
        co_return false;
      }
      if (full) {
        worker_.metrics().add(upstream.metrics.requests[UpstreamResult::kNoTarget]);
        worker_.count_limit("upstream_connections");
        end(StreamResult::kLimited, ErrorBy::kGateway, "circuit_breaker_open");
        co_return false;
      }
      worker_.metrics().add(upstream.metrics.requests[UpstreamResult::kConnectFailure]);
      if (tries_ >= attempts) {
        end_unconnected(connected.error());
        co_return false;
      }
      worker_.metrics().add(upstream.metrics.retries[RetryReason::kConnectFailure]);
    }
  }

  io::Task<> relay() {
    const telemetry::StreamMetrics& metrics = plan_->metrics;
    CountingTap from_client(worker_.metrics(), metrics.bytes[StreamDirection::kFromClient]);
    CountingTap from_server(worker_.metrics(), metrics.bytes[StreamDirection::kToClient]);
    io::RelayOptions options{.idle = plan_->idle, .from_client = &from_client, .from_server = &from_server};
    relayed_ = co_await io::relay(worker_.loop(), *client_, server_->stream(), token_, options);
    using End = io::RelayResult::End;
    switch (relayed_.end) {
      case End::kComplete:
      case End::kStopped:
        end(StreamResult::kComplete, ErrorBy::kNobody, {});
        co_return;
      case End::kClientFailed:
        // What it got was not all, or it does not want the rest: the server is to know.
        server_->stream().abort();
        end(StreamResult::kClientFailed, ErrorBy::kClient, "client_gone");
        co_return;
      case End::kServerFailed:
        // What the server had ended is whole, and stays so for the client.
        if (!relayed_.server_ended) client_->abort();
        end(StreamResult::kServerFailed, ErrorBy::kUpstream, "upstream_reset");
        co_return;
      case End::kIdle:
        abort_both();
        end(StreamResult::kIdle, ErrorBy::kGateway, "idle_timeout");
        co_return;
      case End::kCancelled:
        abort_both();
        end_cancelled();
        co_return;
    }
  }

  void leave_target() {
    if (std::exchange(counted_, false)) target_->identity->load.leave();
  }

  /// What is cut short must not look whole.
  void abort_both() {
    client_->abort();
    server_->stream().abort();
  }

  void end_cancelled() {
    if (token_.reason() == io::CancelReason::kClientGone)
      end(StreamResult::kClientFailed, ErrorBy::kClient, "client_gone");
    else
      end(StreamResult::kCancelled, ErrorBy::kGateway, io::cancel_reason_text(token_.reason()));
  }

  void end_unconnected(const io::Error& error) {
    std::string_view code = "upstream_refused";
    ErrorBy by = ErrorBy::kUpstream;
    if (error.code == io::ErrorCode::kTimedOut) code = "upstream_connect_timeout";
    if (error.code == io::ErrorCode::kUnresolved) code = "upstream_unresolved";
    if (error.code == io::ErrorCode::kUnsecured) code = "upstream_tls_failed";
    if (error.code == io::ErrorCode::kNoDescriptors) {
      code = "no_descriptors";
      by = ErrorBy::kGateway;
    }
    end(StreamResult::kConnectFailure, by, code);
  }

  void end(StreamResult result, ErrorBy by, std::string_view code) {
    worker_.metrics().add(plan_->metrics.sessions[result]);
    if (!plan_->log) return;
    telemetry::AccessRecord record;
    record.stream = plan_->name;
    record.host = opening_.server_name;
    record.protocol = plan_->tls ? "tls" : "tcp";
    record.error_by = by;
    record.error_code = code;
    record.upstream = plan_->upstream->name;
    if (target_) record.target = target_->authority;
    record.tries = tries_;
    record.request_bytes = relayed_.from_client;
    record.response_bytes = relayed_.from_server;
    worker_.log_connection(record, opening_.listener, client_->peer(), worker_.loop().now() - began_);
  }

  Worker& worker_;
  std::unique_ptr<io::Stream> client_;
  std::shared_ptr<const StreamPlan> plan_;
  StreamOpening opening_;
  Instant began_;
  io::CancelToken token_;
  TargetPointer target_;
  uint32_t tries_ = 0;
  bool counted_ = false;  // among the target's requests
  ConnectionPool* pool_ = nullptr;
  UpstreamConnection* server_ = nullptr;
  io::RelayResult relayed_;
};

}  // namespace

io::Task<> serve_stream(Worker& worker, std::unique_ptr<io::Stream> client,
                        std::shared_ptr<const StreamPlan> plan, StreamOpening opening) {
  StreamSession session(worker, std::move(client), std::move(plan), std::move(opening));
  co_await session.run();
}

}  // namespace sluice::gateway
