// The resolver of a simulated world: names come from a table that the scenario may change at any time.
#pragma once

#include <string>

#include "io/dns.h"
#include "io/sim/sim_loop.h"

namespace sluice::io {

/// Answers from `SimWorld::set_name` and `set_service`; slow or in vain when the seed says so.
class SimResolver final : public Resolver {
 public:
  explicit SimResolver(SimLoop& loop) : loop_(loop) {}
  Task<Result<Resolution>> resolve(std::string name, CancelToken& token) override;
  Task<Result<ServiceRecords>> resolve_service(std::string name, CancelToken& token) override;

 private:
  /// The way to the name server and back, for a question about the name with this hash.
  Task<Result<void>> travel(uint64_t name, CancelToken& token);

  SimLoop& loop_;
};

}  // namespace sluice::io
