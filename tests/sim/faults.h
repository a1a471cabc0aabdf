// What the simulated network draws, as the scenarios ask for it.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "io/sim/sim_world.h"

namespace sluice::sim {

/// Whether a fault was drawn on this connection that excuses whoever used it.
inline bool stream_harmed(io::Stream&) { return false; }

inline io::SimOptions world_options(uint64_t seed, bool faults, bool) {
  io::SimOptions options;
  options.seed = seed;
  options.split_transfers = faults;
  return options;
}

inline void read_world(io::SimWorld& world, uint64_t& hash, uint64_t&, std::array<uint64_t, 32>&, std::string&) {
  hash = mix64(hash ^ world.random().next());
}

/// Whether the world as a whole drew something between the two that excuses everybody.
inline bool world_harmed(io::SimWorld&, Instant, Instant) { return false; }
/// Whether connections to one of the addresses were harmed.
inline bool connection_harmed(io::SimWorld&, const io::Address&, Instant, Instant) { return false; }

inline std::vector<std::string_view> fault_names() { return {}; }

}  // namespace sluice::sim
