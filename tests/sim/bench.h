// How fast a plain world runs.
#pragma once

namespace sluice::sim {

/// Simulates plain proxied requests for some seconds of wall time on one core, prints how many a second.
int run_bench(double wall_seconds);

}  // namespace sluice::sim
