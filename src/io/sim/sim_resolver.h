// The resolver of a simulated world: names come from a table that the scenario may change at any time.
#pragma once

#include <string>

#include "io/dns.h"
#include "io/sim/sim_loop.h"

namespace sluice::io {

/// Answers from `SimWorld::set_name`; slow or in vain when the seed says so.
class SimResolver final : public Resolver {
 public:
  explicit SimResolver(SimLoop& loop) : loop_(loop) {}
  Task<Result<Resolution>> resolve(std::string name, CancelToken& token) override;

 private:
  SimLoop& loop_;
};

}  // namespace sluice::io
