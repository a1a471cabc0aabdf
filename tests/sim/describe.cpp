// What `--trace` prints of the calls.
#include "run.h"

namespace sluice::sim {

std::string_view client_deed_text(ClientDeed deed) {
  switch (deed) {
    case ClientDeed::kNone:
      return "";
    case ClientDeed::kResetRequest:
      return "resets in its request";
    case ClientDeed::kEndRequest:
      return "ends in its request";
    case ClientDeed::kStallRequest:
      return "stalls in its request";
    case ClientDeed::kResetAnswer:
      return "resets in the answer";
    case ClientDeed::kStallAnswer:
      return "stops reading the answer";
    case ClientDeed::kLeave:
      return "leaves";
    case ClientDeed::kTrickle:
      return "trickles";
  }
  return "";
}

std::string_view upstream_deed_text(UpstreamDeed deed) {
  static constexpr std::string_view kTexts[] = {"answers",
                                                "resets",
                                                "ends",
                                                "ends in the head",
                                                "sends garbage",
                                                "two lengths",
                                                "a huge head",
                                                "endless 1xx",
                                                "101 unasked",
                                                "is silent",
                                                "ends in the body",
                                                "resets in the body",
                                                "a bad chunk",
                                                "stalls in the body",
                                                "reads nothing"};
  return kTexts[static_cast<size_t>(deed)];
}

std::string describe_calls(const Ledger& ledger) {
  static constexpr std::string_view kOutcomes[] = {"never sent", "answered", "closed"};
  static constexpr std::string_view kFramings[] = {"no body", "length", "chunked", "until close"};
  auto at = [](Instant instant) {
    return instant == Instant{} ? 0 : seconds(instant.time_since_epoch()) - 1000;
  };
  std::string text;
  for (const Call& call : ledger.calls) {
    std::string line = call.head_wire.substr(0, call.head_wire.find("\r\n", 2));
    text += fmt::format("exchange {} ({}): \"{}\"{}{}, body {} bytes{}{}, {:.3f} s to {:.3f} s: {} {}{}{}\n",
                        call.number, call.kind, line.substr(0, 80), call.asks_close ? " asks to close" : "",
                        call.expects_continue ? " expects 100" : "", call.body.size(),
                        call.chunked ? " chunked" : "", call.harmed ? ", harmed" : "", at(call.begun),
                        at(call.ended), kOutcomes[static_cast<size_t>(call.outcome)], call.head.status(),
                        call.deed == ClientDeed::kNone ? "" : ", client ", client_deed_text(call.deed));
    for (const Serving* serving : call.servings)
      text += fmt::format("    serving {} at {}{}, {:.3f} s: {}, {} with {} bytes, {}{}{}{}{}\n",
                          serving->number, serving->target, serving->reused ? " (kept connection)" : "",
                          at(serving->begun), upstream_deed_text(serving->deed), serving->status,
                          serving->body.size(), kFramings[static_cast<size_t>(serving->rule.framing)],
                          serving->early ? ", before the request's body" : "",
                          serving->answered ? ", sent whole" : "", serving->harmed ? ", harmed" : "",
                          serving->confused ? ", after noise" : "");
  }
  return text;
}

}  // namespace sluice::sim
