#include "io/sim/sim_resolver.h"

#include "io/sim/sim_world.h"
#include "io/sleep.h"

namespace sluice::io {

Task<Result<void>> SimResolver::travel(uint64_t name, CancelToken& token) {
  SimWorld& world = loop_.world();
  world.trace_.add(world.now(), loop_.index(), 0, SimTrace::Event::kAsk, name);
  Duration delay = 2 * world.options().latency;
  FaultRecord fault{.loop = loop_.index(), .from = world.now(), .until = world.now()};
  if (world.strikes(FaultKind::kDnsSlow)) {
    delay += world.drawn_time(FaultKind::kDnsSlow);
    fault.kind = FaultKind::kDnsSlow;
    fault.until = world.now() + delay;
    world.strike(fault);
  }
  bool fails = world.strikes(FaultKind::kDnsFailure);
  auto waited = co_await sleep_for(loop_, delay, token);
  if (!waited) co_return std::unexpected(waited.error());
  if (fails) {
    fault.kind = FaultKind::kDnsFailure;
    fault.from = fault.until = world.now();
    world.strike(fault);
    co_return fail(world.random().below(2) ? ErrorCode::kTimedOut : ErrorCode::kUnresolved);
  }
  co_return Result<void>();
}

Task<Result<Resolution>> SimResolver::resolve(std::string name, CancelToken& token) {
  auto arrived = co_await travel(hash64(name), token);
  if (!arrived) co_return std::unexpected(arrived.error());
  const Resolution* found = loop_.world().find_name(name);
  if (!found) co_return fail(ErrorCode::kUnresolved);
  co_return *found;
}

Task<Result<ServiceRecords>> SimResolver::resolve_service(std::string name, CancelToken& token) {
  auto arrived = co_await travel(hash64(name), token);
  if (!arrived) co_return std::unexpected(arrived.error());
  const ServiceRecords* found = loop_.world().find_service(name);
  if (!found) co_return fail(ErrorCode::kUnresolved);
  co_return *found;
}

}  // namespace sluice::io
