#include "handlers/proxy/proxy.h"

#include "gateway/worker.h"
#include "handlers/proxy/attempt.h"
#include "handlers/proxy/balance_key.h"
#include "handlers/proxy/forwarding.h"
#include "handlers/proxy/grpc_call.h"
#include "handlers/proxy/hedge.h"
#include "handlers/proxy/kept_body.h"
#include "handlers/proxy/mirror.h"
#include "handlers/proxy/observation.h"
#include "handlers/proxy/websocket_tunnel.h"
#include "http/cookie.h"
#include "io/sleep.h"

namespace sluice::handlers {

namespace {

using telemetry::RetryReason;
using telemetry::UpstreamResult;

constexpr gateway::Refusal kFull{503, "circuit_breaker_open", "The upstream has as many requests as it may."};
constexpr gateway::Refusal kOverloaded{503, "upstream_overloaded",
                                       "The upstream has as many requests as it can answer in time."};

/// The largest request of a gRPC call that is kept for another try.
constexpr size_t kMostKeptCall = 64 * 1024;

/// A request's field that says that its upstream knows it again (draft-ietf-httpapi-idempotency-key-header).
constexpr std::string_view kIdempotencyKey = "idempotency-key";

/// Whether sending it twice does no more than sending it once.
bool may_repeat(const gateway::Exchange& exchange, const gateway::Upstream& upstream) {
  return http::is_idempotent(exchange.request.method) ||
         (upstream.retry.idempotency_key && exchange.request.fields.find(kIdempotencyKey));
}

/// How much of its body is kept for another try.
size_t most_kept(const gateway::Exchange& exchange, const gateway::Upstream& upstream, bool is_call) {
  if (!exchange.request_body) return 0;
  if (is_call) return kMostKeptCall;
  // Over HTTP/2 a target may say that it has done nothing with a request.
  bool http2 = upstream.protocol == config::UpstreamProtocol::kH2 ||
               upstream.protocol == config::UpstreamProtocol::kH2c;
  return http2 || may_repeat(exchange, upstream) ? upstream.retry.body : 0;
}

bool can_send_again(gateway::Exchange& exchange, const Attempt& attempt, const KeptBody* kept, bool is_call) {
  if (attempt.body_untouched() || (kept && kept->kept())) return true;
  if (kept && kept->too_large_to_keep())
    exchange.worker.count_limit(is_call ? "grpc_retry_request" : "retry_request");
  return false;
}

/// Whether a failed try may be followed by another, and why. At most one stale connection is forgiven beyond
/// the attempts that are configured.
std::optional<RetryReason> retry_reason(const gateway::Exchange& exchange, const gateway::Upstream& upstream,
                                        const Failure& failure, const GrpcCall* call, uint32_t tries,
                                        bool forgiven) {
  if (exchange.server.token.cancelled() || !failure.upstream_fault) return std::nullopt;
  bool chosen = call && call->retries(failure);
  if (failure.sent && !chosen && !may_repeat(exchange, upstream)) return std::nullopt;
  if ((failure.stale || failure.unprocessed) && !forgiven) return RetryReason::kStaleConnection;
  if (tries >= upstream.retry.attempts) return std::nullopt;
  switch (failure.result) {
    case UpstreamResult::kConnectFailure:
      if (chosen || upstream.retry.on_connect_failure) return RetryReason::kConnectFailure;
      break;
    case UpstreamResult::kReset:
      if (chosen || upstream.retry.on_reset) return RetryReason::kReset;
      break;
    case UpstreamResult::kTimeout:
      if (chosen || upstream.retry.on_timeout) return RetryReason::kTimeout;
      break;
    default:
      break;
  }
  return std::nullopt;
}

bool retries_status(const gateway::Exchange& exchange, const gateway::Upstream& upstream,
                    const GrpcCall* call, uint32_t tries) {
  if (tries >= upstream.retry.attempts) return false;
  if (call && call->retries_answer()) return true;
  if (upstream.retry.statuses.empty() || !may_repeat(exchange, upstream)) return false;
  const auto& statuses = upstream.retry.statuses;
  return std::find(statuses.begin(), statuses.end(), exchange.response.status) != statuses.end();
}

/// Before the second retry and those after it: a random part of a time that doubles.
io::Task<> back_off(gateway::Exchange& exchange, Duration most, uint32_t tries) {
  if (most <= Duration::zero()) co_return;
  auto longest = static_cast<uint64_t>(most.count()) << (tries - 2);
  Duration wait(static_cast<int64_t>(exchange.loop().random().below(longest)));
  auto slept = co_await io::sleep_for(exchange.loop(), wait, exchange.server.token);
  std::ignore = slept;
}

}  // namespace

Proxy::Proxy(const gateway::RouteAction& action)
    : choices_(action.upstreams), shift_(action.shift), mirrors_(action.mirrors) {
  if (choices_.size() < 2) return;
  std::vector<uint32_t> weights;
  for (const gateway::UpstreamChoice& choice : choices_) weights.push_back(choice.weight);
  schedule_ = gateway::smooth_schedule(weights);
}

const std::shared_ptr<const gateway::Upstream>& Proxy::choose() const {
  if (schedule_.empty()) return choices_.front().upstream;
  return choices_[schedule_[turn_.fetch_add(1, std::memory_order_relaxed) % schedule_.size()]].upstream;
}

bool Proxy::shifts(gateway::Exchange& exchange) const {
  if (!shift_.upstream) return false;
  bool shifted = shift_.state->takes_next(exchange.loop().random(), exchange.now());
  if (int64_t moved = shift_.state->show(exchange.now()))
    exchange.worker.metrics().add(shift_.metrics.percent, moved);
  return shifted;
}

void Proxy::record_shifted(gateway::Exchange& exchange, uint16_t status, Instant began) const {
  if (status == 499) return;  // nobody has waited for it
  if (shift_.state->record(status, exchange.now() - began, exchange.now()))
    exchange.worker.metrics().add(shift_.metrics.rollbacks);
}

io::Task<> Proxy::handle(gateway::Exchange& exchange) const {
  const bool shifted = shifts(exchange);
  const std::shared_ptr<const gateway::Upstream>& chosen = shifted ? shift_.upstream : choose();
  const Instant chosen_at = exchange.now();
  const gateway::Upstream& upstream = *chosen;
  telemetry::WorkerMetrics& metrics = exchange.worker.metrics();
  exchange.upstream.upstream = upstream.name;
  const http::Error* unfit = exchange.server.upgrade.empty() ? nullptr : check_upgrade(exchange);
  if (unfit) {
    refuse_upgrade(exchange, *unfit);
    co_await exchange.respond();
    co_return;
  }
  gateway::UpstreamPlace place(upstream.load(), upstream.bounds, exchange.worker.number());
  if (!place) {
    metrics.add(upstream.metrics.requests[UpstreamResult::kNoTarget]);
    bool full = place.entry() == gateway::UpstreamLoad::Entry::kFull;
    exchange.worker.count_limit(full ? "upstream_requests" : "upstream_concurrency");
    std::ignore = exchange.refuse(full ? kFull : kOverloaded);
    if (shifted) record_shifted(exchange, 503, chosen_at);
    co_await exchange.respond();
    co_return;
  }
  const config::HashKey* key = upstream.balancer().hash_key();
  std::optional<uint64_t> hash;
  if (key) hash = balance_hash(exchange, *key);
  const gateway::StickySessions* sticky = upstream.sticky();
  std::optional<uint16_t> before;  // the target that the client had
  if (sticky)
    if (auto value = http::find_cookie(exchange.request.fields, sticky->cookie()))
      before = upstream.target_of_cookie(*value);
  prepare_request(exchange);
  std::optional<Mirroring> mirroring;
  if (!mirrors_.empty() && exchange.server.upgrade.empty()) {
    mirroring.emplace(exchange, mirrors_);
    if (!exchange.request_body) mirroring->send();
  }
  std::optional<GrpcCall> grpc;
  if (GrpcCall::is_one(exchange)) grpc.emplace(exchange, upstream);
  GrpcCall* const call = grpc ? &*grpc : nullptr;
  std::optional<KeptBody> kept;
  if (size_t most = most_kept(exchange, upstream, call != nullptr))
    exchange.request_body = &kept.emplace(*exchange.request_body, most, exchange.arena);
  KeptBody* const kept_body = kept ? &*kept : nullptr;
  bool forgiven = false;  // a stale connection
  uint32_t tries = 0;     // that count
  gateway::TriedTargets tried;
  for (;;) {
    gateway::BalanceRequest choice{.random = exchange.loop().random(),
                                   .now = exchange.now(),
                                   .hash = hash,
                                   .tried = tried.size() > 0 ? &tried : nullptr,
                                   .preferred = before};
    gateway::TargetPointer target = upstream.choose(choice);
    Attempt first(exchange, upstream, target, call != nullptr);
    Instant began = exchange.now();
    ++tries;
    ++exchange.upstream.tries;
    if (call) call->begin_try();
    std::unique_ptr<Hedge> hedge;
    std::optional<Failure> failure;
    if (target && !call && tries == 1 && Hedge::is_for(exchange, upstream)) {
      hedge = std::make_unique<Hedge>(exchange, upstream, first);
      failure = co_await hedge->run(forgiven, choice, place);
      target = hedge->winner().target();
    } else {
      failure = co_await first.run(forgiven);
    }
    Attempt& attempt = hedge ? hedge->winner() : first;
    std::optional<RetryReason> retry;
    if (failure) {
      metrics.add(upstream.metrics.requests[failure->result]);
      retry = retry_reason(exchange, upstream, *failure, call, tries, forgiven);
    } else {
      metrics.add(upstream.metrics.requests[telemetry::upstream_result(exchange.response.status)]);
      if (retries_status(exchange, upstream, call, tries)) retry = RetryReason::kStatus;
    }
    if (target)
      observe(
          exchange, upstream, *target,
          {failure ? &*failure : nullptr, exchange.response.status, hedge ? hedge->winner_began() : began});
    // What was read of the body is gone, whether it was sent or not, unless it was kept.
    if (retry && !can_send_again(exchange, attempt, kept_body, call != nullptr)) retry.reset();
    if (retry && *retry != RetryReason::kStaleConnection && !place.may_retry()) {
      exchange.worker.count_limit("upstream_retries");
      retry.reset();
    }
    if (retry) {
      exchange.upstream.time += exchange.now() - began;
      metrics.add(upstream.metrics.retries[*retry]);
      if (attempt.uploading()) co_await attempt.end_upload();
      attempt.give_back();
      if (kept_body) kept_body->rewind();
      if (*retry == RetryReason::kStaleConnection) {
        forgiven = true;
        --tries;
      }
      if (!failure || !failure->stale) tried.add(target->number);
      if (hedge && hedge->also_tried()) tried.add(hedge->also_tried()->number);
      if (tried.size() >= upstream.view().members.size()) tried.clear();
      if (tries > 1) co_await back_off(exchange, upstream.retry.backoff, tries);
      continue;
    }

    if (shifted)
      record_shifted(exchange, failure ? failure->refusal.status : exchange.response.status, chosen_at);
    auto prepare = [&] {
      prepare_response(exchange, exchange.response.version);
      if (!sticky || before == target->number) return;
      bool secure = exchange.server.security != nullptr;
      exchange.response.fields.add(http::FieldName::kSetCookie,
                                   sticky->set_cookie(target->cookie, secure, exchange.arena));
    };
    if (!failure && exchange.response.status == 101) {
      prepare();
      auto* client = co_await exchange.accept_tunnel();
      if (client) {
        WebSocketPlace taken{chosen, std::move(place), attempt.hand_over_count()};
        exchange.begin_tunnel(
            std::make_unique<WebSocketTunnel>(exchange, *client, attempt.become_tunnel(), std::move(taken)));
      }
    } else if (!failure) {
      prepare();
      http::BodyReader* body = attempt.body();
      if (call)
        call->begin_answer(attempt);
      else if (body)
        exchange.response_body = http::Body::of(*body);
      co_await exchange.respond();
    } else if (failure->refusal.status == 499) {
      std::ignore = exchange.refuse(failure->refusal);
      exchange.server.abandon();
    } else {
      std::ignore = exchange.refuse(failure->refusal);
      co_await exchange.respond();
    }
    exchange.upstream.time += exchange.now() - began;
    metrics.observe(upstream.metrics.seconds, exchange.now() - began);
    if (attempt.uploading()) co_await attempt.end_upload();
    attempt.give_back();
    if (mirroring) mirroring->send();
    co_return;
  }
}

}  // namespace sluice::handlers
