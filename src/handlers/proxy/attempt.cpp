#include "handlers/proxy/attempt.h"

#include "gateway/worker.h"
#include "handlers/proxy/forwarding.h"
#include "http/transfer_errors.h"
#include "http/websocket/handshake.h"
#include "io/sleep.h"

namespace sluice::handlers {

namespace {

using gateway::Refusal;
using telemetry::ErrorBy;
using telemetry::UpstreamResult;

/// How long a client that asked for 100 waits for the upstream to say it before we do (contract, section 3).
constexpr Duration kContinuePatience = std::chrono::seconds(1);
/// How long the last word to a client may take once the exchange is out of time.
constexpr Duration kLastWordTime = std::chrono::seconds(2);
/// Interim responses to one request; a target that sends more is not well.
constexpr int kMostInterim = 16;

constexpr Refusal kNoTarget{503, "no_target", "No target of the upstream can take the request.",
                            ErrorBy::kGateway};
constexpr Refusal kUnresolved{503, "upstream_unresolved", "The upstream's name has no address.",
                              ErrorBy::kUpstream};
constexpr Refusal kRefused{502, "upstream_refused", "The upstream refused the connection.",
                           ErrorBy::kUpstream};
constexpr Refusal kUnsecured{502, "upstream_tls_failed", "The upstream's TLS could not be set up or trusted.",
                             ErrorBy::kUpstream};
constexpr Refusal kNoHttp2{502, "upstream_no_http2", "The upstream does not agree to HTTP/2.",
                           ErrorBy::kUpstream};
constexpr Refusal kNoDescriptors{503, "no_descriptors",
                                 "The gateway has no descriptor left for a connection.", ErrorBy::kGateway};
constexpr Refusal kNoConnection{503, "circuit_breaker_open",
                                "The upstream has as many connections as it may.", ErrorBy::kGateway};
constexpr Refusal kConnectTimeout{504, "upstream_connect_timeout",
                                  "The upstream did not accept a connection in time.", ErrorBy::kUpstream};
constexpr Refusal kUpstreamReset{502, "upstream_reset", "The upstream broke the connection.",
                                 ErrorBy::kUpstream};
constexpr Refusal kUpstreamTimeout{504, "upstream_timeout", "The upstream did not answer in time.",
                                   ErrorBy::kUpstream};
constexpr Refusal kUpstreamStalled{504, "upstream_stalled", "The upstream stopped reading the request.",
                                   ErrorBy::kUpstream};
constexpr Refusal kTotalTimeout{504, "timeout", "The exchange took longer than allowed.", ErrorBy::kUpstream};
constexpr Refusal kClientGone{499, "client_gone", "The client left.", ErrorBy::kClient};
constexpr Refusal kUnexpectedUpgrade{502, "unexpected_upgrade", "The upstream changed the protocol unasked.",
                                     ErrorBy::kUpstream};
constexpr Refusal kBadUpgrade{
    502, "bad_upgrade", "The upstream agreed to another WebSocket than was asked for.", ErrorBy::kUpstream};
constexpr Refusal kTooManyInterim{502, "too_many_interim_responses",
                                  "The upstream sent too many interim responses.", ErrorBy::kUpstream};

Failure protocol_failure(const Refusal& refusal) {
  return {.result = UpstreamResult::kProtocolError, .refusal = refusal};
}

}  // namespace

Attempt::Attempt(gateway::Exchange& exchange, const gateway::Upstream& upstream,
                 gateway::TargetPointer target, bool is_call)
    : exchange_(exchange),
      upstream_(upstream),
      target_(std::move(target)),
      token_(exchange.server.token),
      place_{token_, exchange.arena, exchange.worker.limits()},
      is_call_(is_call) {}

Attempt::~Attempt() { assert(!client_ && !counted_ && scope_.active() == 0); }

io::Task<std::optional<Failure>> Attempt::connect(gateway::ConnectionPool& pool) {
  std::string preface;
  if (upstream_.names_client())
    preface = upstream_.proxy_header(exchange_.server.peer, exchange_.server.local());
  gateway::ConnectionPool::Wish wish{.preface = preface};
  auto started = co_await pool.start_on_new(place_, upstream_.timeouts.connect, wish);
  if (started) {
    client_ = *started;
    co_return std::nullopt;
  }
  if (token_.cancelled()) co_return failure_of_cancellation();
  Failure failure{.result = UpstreamResult::kConnectFailure, .refusal = kRefused, .sent = false};
  if (started.error().code == io::ErrorCode::kFull) {
    // That is the upstream's bound, at whichever target.
    exchange_.worker.count_limit("upstream_connections");
    co_return Failure{.result = UpstreamResult::kNoTarget,
                      .refusal = kNoConnection,
                      .sent = false,
                      .upstream_fault = false};
  }
  if (started.error().code == io::ErrorCode::kTimedOut) failure.refusal = kConnectTimeout;
  if (started.error().code == io::ErrorCode::kNoDescriptors) failure.refusal = kNoDescriptors;
  if (started.error().code == io::ErrorCode::kUnresolved) failure.refusal = kUnresolved;
  if (started.error().code == io::ErrorCode::kUnsecured) failure.refusal = kUnsecured;
  if (started.error().code == io::ErrorCode::kProtocol) failure.refusal = kNoHttp2;
  co_return failure;
}

void Attempt::begin() {
  http::RequestOptions options;
  options.host = host_for(exchange_, upstream_, *target_);
  options.base_path = target_->base_path;
  options.te_trailers = exchange_.server.te_trailers;
  options.upgrade = exchange_.server.upgrade;
  client_->begin(exchange_.request, options);
}

void Attempt::await_head() {
  upload_done_ = true;
  if (head_received_) return;
  Duration limit = upstream_.timeouts.response_head;
  if (!own_answer_)
    exchange_.server.timer.begin(http::Phase::kUpstreamHead, limit, token_);
  else if (limit > Duration::zero())
    own_deadline_.emplace(exchange_.loop(), exchange_.now() + limit, token_);
}

void Attempt::head_awaited() {
  if (!own_answer_) exchange_.server.timer.end_phase();
  own_deadline_.reset();
  head_received_ = true;
}

void Attempt::win() {
  if (!own_answer_) return;
  exchange_.response = std::move(*own_answer_);
  own_answer_.reset();
  if (target_) exchange_.upstream.target = target_;
}

io::Task<std::optional<Failure>> Attempt::run(bool fresh) {
  if (!target_) co_return Failure{.result = UpstreamResult::kNoTarget, .refusal = kNoTarget, .sent = false};
  if (!own_answer_) exchange_.upstream.target = target_;
  if (upstream_.balancer().counts_requests()) {
    counted_ = true;
    target_->identity->load.enter();
  }
  gateway::ConnectionPool& pool = exchange_.worker.pools().of(*target_, upstream_);
  client_ = pool.start_at_hand(place_, fresh || upstream_.names_client());
  if (!client_) {
    auto unconnected = co_await connect(pool);
    if (unconnected) co_return unconnected;
  }
  begin();
  if (exchange_.request_body) {
    scope_.spawn(upload());
  } else {
    auto written = co_await client_->send_head();
    if (!written) co_return failure_of(written.error());
    await_head();
  }
  auto failure = co_await read_head();
  head_awaited();
  continue_token_.cancel(io::CancelReason::kShed);
  co_return failure;
}

io::Task<std::optional<Failure>> Attempt::read_head() {
  http::Response& response = answer();
  for (int interim = 0;; ++interim) {
    response = http::Response(exchange_.arena);
    auto head = co_await client_->read_head(response);
    if (!head) co_return failure_of(head.error());
    if (response.status == 101) co_return accept_upgrade();
    if (response.status >= 200) {
      body_ = client_->body();
      co_return std::nullopt;
    }
    if (interim == kMostInterim) co_return protocol_failure(kTooManyInterim);
    if (response.status == 100) {
      // Passed on once, to who asked for it; the upload says it itself when it has waited too long.
      bool wanted = exchange_.server.expects_continue && !proceed_;
      proceed_ = true;
      if (wanted) co_await exchange_.server.send_informational(response);
      continue_token_.cancel(io::CancelReason::kShed);
    } else {
      if (!own_answer_) co_await exchange_.server.send_informational(response);
    }
  }
}

/// Null: the WebSocket stands, and the client is to hear so.
std::optional<Failure> Attempt::accept_upgrade() {
  namespace websocket = http::websocket;
  http::Response& response = exchange_.response;
  const http::Request& request = exchange_.request;
  if (exchange_.server.upgrade.empty() ||
      !ascii::equal_ignoring_case(response.upgrade, exchange_.server.upgrade))
    return protocol_failure(kUnexpectedUpgrade);
  std::string_view key = request.fields.find(websocket::kKeyField)->value;
  if (response.version == http::Version::kHttp2) {
    // There nothing of the sort is said (RFC 8441, section 5), but the client may wait for it.
    websocket::Accept accept = websocket::accept_of(key);
    response.fields.set(websocket::kAcceptField, exchange_.arena.copy({accept.data(), accept.size()}));
  }
  if (!websocket::agrees(response, key, request)) return protocol_failure(kBadUpgrade);
  return std::nullopt;
}

io::Task<bool> Attempt::wait_for_continue() {
  if (!proceed_ && !head_received_) {
    io::LinkedToken waiting(continue_token_);
    auto slept = co_await io::sleep_for(exchange_.loop(), kContinuePatience, waiting);
    if (slept && !proceed_ && !head_received_ && !token_.cancelled()) {
      proceed_ = true;
      http::Response proceed(exchange_.arena);
      proceed.status = 100;
      co_await exchange_.server.send_informational(proceed);
    }
  }
  // A final answer without 100: the client keeps its body (RFC 9110, section 10.1.1).
  co_return proceed_ && !token_.cancelled();
}

io::Task<> Attempt::upload() {
  http::ExchangeTimer& timer = exchange_.server.timer;
  if (exchange_.server.expects_continue) {
    auto sent = co_await client_->send_head();
    if (!sent) co_return;  // whoever reads the head finds out
    bool proceed = co_await wait_for_continue();
    if (!proceed) co_return;
  }
  upload_began_ = true;
  http::TransferWatch::Bounds bounds = exchange_.worker.upload_bounds();
  if (is_call_) {
    bounds.source_idle = bounds.sink_idle;
    bounds.source_bytes = 0;
  }
  http::TransferWatch watch = client_->watch(bounds);
  timer.watch_upload(watch);
  upload_watch_ = &watch;
  auto written = co_await client_->send_body(http::Body::of(*exchange_.request_body), watch);
  upload_watch_ = nullptr;
  timer.unwatch_upload();
  using Outcome = http::WriteResult::Outcome;
  if (written.outcome == Outcome::kComplete) {
    await_head();
  } else if (written.outcome == Outcome::kSourceFailed) {
    source_stalled_ = watch.stalled() == http::TransferWatch::Waiting::kSource;
    client_error_ = written.source_error;
    token_.cancel(io::CancelReason::kClientGone);
  }
}

Failure Attempt::failure_of_cancellation() {
  Failure failure{.result = UpstreamResult::kCancelled, .refusal = kClientGone, .upstream_fault = false};
  http::ServerExchange& server = exchange_.server;
  if (token_.reason() == io::CancelReason::kDeadline) {
    bool own = own_answer_ && !server.token.cancelled();
    switch (own ? http::Phase::kUpstreamHead : server.timer.expired()) {
      case http::Phase::kUpload:
        if (source_stalled_) {
          const http::Error& late = http::kRequestTimeoutError;
          failure.refusal = {late.status, late.code, late.detail, ErrorBy::kClient};
        } else {
          failure = {.result = UpstreamResult::kTimeout, .refusal = kUpstreamStalled};
        }
        break;
      case http::Phase::kUpstreamHead:
        failure = {.result = UpstreamResult::kTimeout, .refusal = kUpstreamTimeout};
        break;
      default:
        failure = {.result = UpstreamResult::kTimeout, .refusal = kTotalTimeout};
        break;
    }
  } else if (client_error_ && client_error_->status != 0) {
    failure.refusal = {client_error_->status, client_error_->code, client_error_->detail, ErrorBy::kClient};
  }
  return failure;
}

Failure Attempt::failure_of(const http::Error& error) {
  if (token_.cancelled()) return failure_of_cancellation();
  bool reset =
      error.code == http::kUpstreamResetError.code || error.code == http::kUpstreamTruncatedError.code;
  Failure failure{.result = reset ? UpstreamResult::kReset : UpstreamResult::kProtocolError,
                  .refusal = {502, error.code, error.detail, ErrorBy::kUpstream}};
  failure.stale = reset && client_->stale();
  failure.unprocessed = reset && client_->unprocessed();
  failure.sent = !failure.unprocessed;
  return failure;
}

Failure Attempt::failure_of(const io::Error&) {
  if (token_.cancelled()) return failure_of_cancellation();
  Failure failure{.result = UpstreamResult::kReset, .refusal = kUpstreamReset};
  failure.stale = client_->stale();
  failure.sent = !client_->unprocessed();
  return failure;
}

io::Task<> Attempt::end_upload() {
  token_.cancel(io::CancelReason::kShed);
  continue_token_.cancel(io::CancelReason::kShed);
  if (exchange_.server.response_started()) exchange_.server.stop_request_body();
  co_await scope_.join();
}

void Attempt::take_deadline() {
  http::ExchangeTimer& timer = exchange_.server.timer;
  Duration left = exchange_.deadline - exchange_.now();
  timer.set_total(exchange_.deadline + kLastWordTime);
  timer.begin(http::Phase::kTotal, std::max(left, Duration(1)), token_);
  has_deadline_ = true;
}

void Attempt::give_back() {
  if (std::exchange(has_deadline_, false)) exchange_.server.timer.end_phase();
  if (client_) std::exchange(client_, nullptr)->end(upload_done_);
  if (std::exchange(counted_, false)) target_->identity->load.leave();
}

}  // namespace sluice::handlers
