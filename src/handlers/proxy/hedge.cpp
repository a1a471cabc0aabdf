#include "handlers/proxy/hedge.h"

#include "gateway/worker.h"
#include "handlers/proxy/observation.h"
#include "io/linked_token.h"
#include "io/sleep.h"

namespace sluice::handlers {

using telemetry::HedgeResult;
using telemetry::UpstreamResult;

Hedge::Hedge(gateway::Exchange& exchange, const gateway::Upstream& upstream, Attempt& first)
    : exchange_(exchange), upstream_(upstream), first_attempt_(first), ended_(exchange.loop()) {}

bool Hedge::is_for(const gateway::Exchange& exchange, const gateway::Upstream& upstream) {
  return upstream.hedge && !exchange.request_body && exchange.server.upgrade.empty() &&
         http::is_idempotent(exchange.request.method);
}

io::Task<> Hedge::run_try(Attempt& attempt, Try& state, bool fresh) {
  state.began = exchange_.now();
  state.running = true;
  attempt.race();
  auto failure = co_await attempt.run(fresh);
  state.failure = std::move(failure);
  if (!state.failure) state.status = attempt.answer().status;
  state.running = false;
  ended_.tell();
}

/// Or until it is time for the second one.
io::Task<> Hedge::wait_for_first() {
  io::LinkedToken patience(exchange_.server.token);
  io::Deadline deadline(exchange_.loop(), exchange_.now() + upstream_.hedge->after, patience);
  while (first_.running && !patience.cancelled()) co_await ended_.wait(patience);
}

bool Hedge::begin_second(gateway::BalanceRequest choice, gateway::UpstreamPlace& place) {
  gateway::TriedTargets tried;
  tried.add(first_attempt_.target()->number);
  choice.tried = &tried;
  choice.preferred = std::nullopt;
  gateway::TargetPointer target = upstream_.choose(choice);
  if (!target) target = first_attempt_.target();
  if (!place.may_retry()) {
    exchange_.worker.count_limit("upstream_retries");
    return false;
  }
  ++exchange_.upstream.tries;
  second_attempt_.emplace(exchange_, upstream_, std::move(target), false);
  scope_.spawn(run_try(*second_attempt_, second_, false));
  return true;
}

io::Task<std::optional<Failure>> Hedge::run(bool fresh, gateway::BalanceRequest choice,
                                            gateway::UpstreamPlace& place) {
  scope_.spawn(run_try(first_attempt_, first_, fresh));
  if (first_.running) co_await wait_for_first();
  io::CancelToken& token = exchange_.server.token;
  bool both = first_.running && !token.cancelled() && begin_second(choice, place);
  if (both) {
    while (!first_.good() && !second_.good() && (first_.running || second_.running) && !token.cancelled())
      co_await ended_.wait(token);
    choose_winner();
    if (winner_ != &first_) first_attempt_.abandon();
    if (winner_ == &first_) second_attempt_->abandon();
  }
  co_await scope_.join();
  if (both) {
    account_loser(first_attempt_, first_);
    account_loser(*second_attempt_, second_);
    bool second_won = winner_ == &second_;
    exchange_.worker.metrics().add(
        upstream_.metrics.hedges[second_won ? HedgeResult::kWon : HedgeResult::kLost]);
  }
  winner().win();
  co_return winner_->failure;
}

/// The first answer that is good, or any answer, or the failure that the first one had.
void Hedge::choose_winner() {
  bool second_answered = !second_.running && !second_.failure;
  bool first_answered = !first_.running && !first_.failure;
  if (first_.good()) return;
  if (second_.good() || (second_answered && !first_answered && !first_.running)) winner_ = &second_;
}

const gateway::Target* Hedge::also_tried() const {
  if (!second_attempt_) return nullptr;
  return winner_ == &second_ ? first_attempt_.target().get() : second_attempt_->target().get();
}

void Hedge::account_loser(Attempt& attempt, const Try& state) {
  if (&state == winner_) return;
  UpstreamResult result = state.failure ? state.failure->result : telemetry::upstream_result(state.status);
  exchange_.worker.metrics().add(upstream_.metrics.requests[result]);
  const gateway::Target& target = *attempt.target();
  if (result == UpstreamResult::kCancelled) {
    // It would have taken longer than so.
    if (upstream_.balancer().measures())
      target.identity->load.measure(exchange_.now() - state.began, exchange_.now());
  } else {
    observe(exchange_, upstream_, target,
            {state.failure ? &*state.failure : nullptr, state.status, state.began});
  }
  attempt.give_back();
}

}  // namespace sluice::handlers
