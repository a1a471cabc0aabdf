// What the simulated network draws, as the scenarios ask for it.
#pragma once

#include "io/sim/sim_world.h"

namespace sluice::sim {

/// Whether a fault was drawn on this connection that may have changed what was said on it.
inline bool stream_harmed(const io::SimWorld& world, const io::Stream& stream) {
  return world.harmed(io::SimWorld::connection_number(stream));
}

/// A run's world; without `faults` it has none at all.
inline io::SimOptions world_options(uint64_t seed, bool faults, Duration latency, bool keep_trace) {
  io::SimOptions options;
  options.seed = seed;
  options.latency = latency;
  if (faults) options.faults = io::SimFaults::draw(seed);
  options.keep_trace = keep_trace;
  return options;
}

inline bool names_failed(const io::SimWorld& world) {
  return world.drawn(io::FaultKind::kDnsFailure) > 0 || world.drawn(io::FaultKind::kDnsSlow) > 0;
}

}  // namespace sluice::sim
