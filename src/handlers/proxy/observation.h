// What a try tells of its target and of its upstream: how fast, how well, how much it can carry.
#pragma once

#include "gateway/exchange.h"
#include "gateway/upstream.h"
#include "handlers/proxy/attempt.h"

namespace sluice::handlers {

/// A try that has an answer with `status`, or has failed.
struct TryOutcome {
  const Failure* failure;  // null: there is an answer
  uint16_t status;
  Instant began;
};

/// For balancing by latency, passive health and adaptive concurrency.
void observe(gateway::Exchange& exchange, const gateway::Upstream& upstream, const gateway::Target& target,
             const TryOutcome& outcome);

}  // namespace sluice::handlers
