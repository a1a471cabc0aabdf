// One run: from a seed to a world, its traffic, its end, and what was found wrong in it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "call.h"
#include "client.h"
#include "document.h"
#include "draw_calls.h"
#include "gateway.h"
#include "rate_model.h"
#include "upstream.h"
#include "violations.h"

namespace sluice::sim {

struct RunOptions {
  uint64_t seed = 1;
  bool trace = false;  // keep the trace's text
};

struct RunResult {
  uint64_t seed = 0;
  uint64_t hash = 0;  // of everything that happened
  uint64_t events = 0;
  size_t calls = 0;
  size_t answered = 0;
  size_t closed = 0;
  size_t refused = 0;  // connections that the gateway did not take, and calls that were never sent
  size_t reloads = 0;
  std::array<uint64_t, io::kFaultKinds> faults{};  // by kind
  std::string trace;
  std::string scenario;  // one line
  std::vector<Violation> violations;
};

RunResult run_seed(const RunOptions& options);

/// What the checks at the end look at.
struct RunView {
  const Document& document;
  const Profile& profile;
  const Ledger& ledger;
  const SimGateway& gateway;
  io::SimWorld& world;
  bool calm = false;    // no fault was drawn
  std::string metrics;  // as scraped at the end
  std::string access_log;
};

/// Of an answer with problem details; empty: it has none.
std::string problem_code(const Call& call);
/// What is wrong with the fields (and the problem details) of an answer that the gateway made; empty:
/// nothing. `own`: fields of the route's; null: none.
std::string wrong_made_fields(const Call& call, const Fields* own);
/// What is wrong with the fields that tell of a limit.
std::string wrong_limit_fields(const Call& call);
/// As HTTP writes it (RFC 9110, section 5.6.7).
std::string date_text(WallTime time);
/// Everything that can be said about the answers once a run is over.
void check_answers(const RunView& run, Violations& violations);
/// A line a call, and one for each of its tries: what it was and what became of it.
std::string describe_calls(const Ledger& ledger);
/// What metrics and access log say, against what clients and upstreams saw.
void check_accounts(const RunView& run, Violations& violations);

}  // namespace sluice::sim
