// The determinism guard: during a run nobody may ask the system for the time, for randomness or for names.
// This executable defines those functions itself; who calls one unplanned ends the process
// (docs/simulation.md).
#pragma once

#include "base/random.h"

namespace sluice::sim {

/// For its life every caller is unplanned.
class GuardedRun {
 public:
  GuardedRun();
  GuardedRun(const GuardedRun&) = delete;
  GuardedRun& operator=(const GuardedRun&) = delete;
  ~GuardedRun();
};

/// For its life who asks for randomness gets it out of the seed: where the gateway asks the system as it
/// begins.
class PlannedRandomness {
 public:
  explicit PlannedRandomness(uint64_t seed);
  PlannedRandomness(const PlannedRandomness&) = delete;
  PlannedRandomness& operator=(const PlannedRandomness&) = delete;
  ~PlannedRandomness();

 private:
  Random random_;
};

}  // namespace sluice::sim
