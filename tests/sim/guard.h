// The determinism guard: during a run nobody may ask the system for the time, for randomness or for names.
// This executable defines those functions itself; who calls one unplanned ends the process
// (docs/simulation.md).
#pragma once

namespace sluice::sim {

/// For its life every caller is unplanned.
class GuardedRun {
 public:
  GuardedRun();
  GuardedRun(const GuardedRun&) = delete;
  GuardedRun& operator=(const GuardedRun&) = delete;
  ~GuardedRun();
};

}  // namespace sluice::sim
