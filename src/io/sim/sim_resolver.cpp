#include "io/sim/sim_resolver.h"

#include "io/sim/sim_world.h"
#include "io/sleep.h"

namespace sluice::io {

Task<Result<Resolution>> SimResolver::resolve(std::string name, CancelToken& token) {
  SimWorld& world = loop_.world();
  const Resolution* found = world.find_name(name);
  auto waited = co_await sleep_for(loop_, world.options().latency, token);
  if (!waited) co_return std::unexpected(waited.error());
  if (!found) co_return fail(ErrorCode::kUnresolved);
  co_return *found;
}

}  // namespace sluice::io
