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

/// Whether a name may have had no address between the two: after a failure it is asked for again in a second,
/// after the next in two, and so on.
inline bool names_failed(const io::SimWorld& world, Instant from, Instant until) {
  Duration again = std::chrono::milliseconds(500);
  for (const io::FaultRecord& fault : world.fault_log().records()) {
    if (fault.kind != io::FaultKind::kDnsFailure && fault.kind != io::FaultKind::kDnsSlow) continue;
    if (fault.kind == io::FaultKind::kDnsFailure)
      again = std::min<Duration>(2 * again, std::chrono::seconds(30));
    if (fault.from <= until && fault.until + again + std::chrono::seconds(1) >= from) return true;
  }
  return false;
}

}  // namespace sluice::sim
