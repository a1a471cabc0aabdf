// The pool of a simulated world: work takes as long as the seed says and runs on no thread.
#pragma once

#include <vector>

#include "io/offload.h"
#include "io/sim/sim_queue.h"

namespace sluice::io {

class SimWorld;

class SimOffload final : public Offload, private SimDue {
 public:
  /// `jobs_max`: at work or waiting; more are refused.
  SimOffload(SimWorld& world, size_t jobs_max) : world_(world), jobs_max_(jobs_max) {}
  ~SimOffload() override { assert(active_ == 0); }

 private:
  bool submit(Queued queued) override;
  void on_due(uint32_t job) override;

  SimWorld& world_;
  const size_t jobs_max_;
  size_t active_ = 0;
  std::vector<Queued> jobs_;
  std::vector<uint32_t> free_;  // places in `jobs_`
};

}  // namespace sluice::io
