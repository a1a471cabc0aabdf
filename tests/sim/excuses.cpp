#include "excuses.h"

#include <algorithm>

#include "faults.h"

namespace sluice::sim {

std::string_view find_excuse(const RunView& run, const Call& call) {
  Instant until = call.ended == Instant{} ? run.world.now() : call.ended;
  if (call.deed != ClientDeed::kNone || call.spoiled) return "its client did it";
  if (call.harmed) return "its client's connection was harmed";
  if (call.excused_by_order) return "an answer before it ended the connection";
  // Whether it has left, or only asked all that it wants, cannot be told while such an answer stands still.
  if (call.side_ended && call.reset && !call.answer_has_length)
    return "its client ended its side within the answer";
  // A reset takes with it what its reader has not read yet (RFC 9112, section 9.6).
  for (const Call* later = call.next; call.reset && later; later = later->next)
    for (const Serving* serving : later->servings)
      if (in_body(serving->deed) || serving->harmed) return "a later answer broke the connection";
  const io::FaultLog& faults = run.world.fault_log();
  // What befell its connection before it knew of it counts too.
  if (faults.world_harmed(call.begun - kSlack, until)) return "the world was harmed";
  Instant drain = run.gateway.drain_began();
  if (drain != kNever && call.begun + std::chrono::seconds(1) > drain) return "the gateway drains";
  if (drain != kNever && until >= drain + run.document.drain) return "the drain's time was over";
  for (const Serving* serving : call.servings)
    if (serving->harmed || serving->confused) return "its upstream's connection was harmed";
  if (call.kind == "named" && names_failed(run.world, call.begun, until))
    return "its upstream's name was not to be had";
  for (std::string_view nowhere : {"10.4.0.1", "10.4.0.2"})
    if ((call.kind == "dead" || call.kind == "hole") &&
        faults.connection_harmed(*io::Address::parse_ip(nowhere, 9300), call.begun, until))
      return "its connecting was harmed";
  for (const Backend& backend : run.document.backends) {
    const auto& of = call.expected[0].upstreams;
    if (std::ranges::find(of, backend.upstream) == of.end()) continue;
    auto address = io::Address::parse_ip(backend.ip, backend.port);
    if (faults.connection_harmed(*address, call.begun, until)) return "an upstream's connection was harmed";
  }
  return {};
}

bool upstream_lost(const RunView& run, const Call& call) {
  const auto& of = call.expected[0].upstreams;
  return std::ranges::any_of(run.ledger.losses, [&](const Ledger::Loss& loss) {
    return std::ranges::find(of, loss.upstream) != of.end() && loss.at + kSlack >= call.begun &&
           loss.at <= call.ended;
  });
}

}  // namespace sluice::sim
