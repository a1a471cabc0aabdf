// A third world for a share of the seeds: limits, throttles, balancing, health, retries and circuit breakers,
// under faults, with models that say what they must do.
#pragma once

#include "run.h"

namespace sluice::sim {

/// Every so many seeds has one: those that have no world of HTTP/2.
inline constexpr uint64_t kTrafficEvery = 2;

/// Runs it, and adds what it did and what was wrong to `result`.
void run_traffic_world(const RunOptions& options, RunResult& result);

}  // namespace sluice::sim
