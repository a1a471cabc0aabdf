#include "handlers/proxy/observation.h"

#include "gateway/worker.h"

namespace sluice::handlers {

namespace {

void adapt(gateway::Exchange& exchange, const gateway::Upstream& upstream, const TryOutcome& outcome) {
  gateway::UpstreamLoad& load = upstream.load();
  const auto& rules = *upstream.bounds.adaptive;
  uint16_t status = outcome.failure ? outcome.failure->refusal.status : outcome.status;
  Instant now = exchange.now();
  gateway::AdaptiveLimit::Moved moved;
  if (status == 503 || status == 504)
    moved = load.adaptive().overloaded(now, rules);
  else if (!outcome.failure)
    moved = load.adaptive().answered(now - outcome.began, load.bounded(), now, rules);
  if (moved) exchange.worker.metrics().add(upstream.metrics.concurrency_limit, *moved);
}

}  // namespace

void observe(gateway::Exchange& exchange, const gateway::Upstream& upstream, const gateway::Target& target,
             const TryOutcome& outcome) {
  const Failure* failure = outcome.failure;
  if (failure && (!failure->upstream_fault || failure->stale || failure->unprocessed)) return;
  if (upstream.bounds.adaptive) adapt(exchange, upstream, outcome);
  if (upstream.balancer().measures())
    target.identity->load.measure(exchange.now() - outcome.began, exchange.now());
  if (upstream.record(target, failure ? 0 : outcome.status))
    exchange.worker.health().failing(target.identity);
}

}  // namespace sluice::handlers
