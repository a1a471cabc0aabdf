// A second world for a share of the seeds: clients and upstreams that speak HTTP/2, with checks of their own.
#pragma once

#include "run.h"

namespace sluice::sim {

/// Every so many seeds has one.
inline constexpr uint64_t kHttp2Every = 4;

/// Runs it, and adds what it did and what was wrong to `result`.
void run_http2_world(const RunOptions& options, RunResult& result);

}  // namespace sluice::sim
