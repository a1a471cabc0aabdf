// The checks of what the gateway says about itself: metrics and access log.
#include <map>

#include "faults.h"
#include "run.h"

namespace sluice::sim {

namespace {

/// The sum of the series of `family` that have `label`.
uint64_t sum_of(const std::string& metrics, const std::string& family, std::string_view label) {
  uint64_t sum = 0;
  size_t at = 0;
  while (at < metrics.size()) {
    size_t end = std::min(metrics.find('\n', at), metrics.size());
    std::string_view line(metrics.data() + at, end - at);
    at = end + 1;
    if (!line.starts_with(family + "{") || line.find(label) == std::string_view::npos) continue;
    sum += std::stoull(std::string(line.substr(line.rfind(' ') + 1)));
  }
  return sum;
}

void check_limited(const RunView& run, Violations& violations) {
  std::map<std::string, uint64_t> refused{{"consumer", 0}, {"address", 0}, {"tenant", 0}};
  for (const Call& call : run.ledger.calls)
    if (call.decision && !call.decision->allowed) ++refused[call.limit];
  for (const auto& [limit, count] : refused) {
    uint64_t said = sum_of(run.metrics, "sluice_limited_total", "policy=\"per-" + limit + "\"");
    if (said != count)
      violations.add(Invariant::kRateLimit, "sluice_limited_total of per-{} is {}, {} were limited", limit,
                     said, count);
  }
}

/// In a world in which every call that was sent reached the gateway.
void check_requests(const RunView& run, Violations& violations) {
  uint64_t sent = 0;
  uint64_t broken = 0;
  uint64_t unsure = 0;
  std::map<char, uint64_t> by_class;
  for (const Call& call : run.ledger.calls) {
    if (call.outcome == Outcome::kUnsent) continue;
    // What came behind a connection's last answer may have been read or not.
    if (call.excused_by_order) {
      ++unsure;
      continue;
    }
    ++sent;
    if (call.outcome != Outcome::kAnswered)
      ++broken;  // counted as what it began as, even where the client saw nothing of it
    else
      ++by_class[static_cast<char>('0' + call.head.status() / 100)];
  }
  uint64_t said = sum_of(run.metrics, "sluice_requests_total", "");
  if (said < sent || said > sent + unsure)
    violations.add(Invariant::kUndisturbed, "sluice_requests_total is {}, {} calls were made", said, sent);
  for (auto [digit, count] : by_class) {
    uint64_t of = sum_of(run.metrics, "sluice_requests_total", std::string("code_class=\"") + digit + "xx\"");
    if (of < count || of > count + broken + unsure)
      violations.add(Invariant::kUndisturbed, "sluice_requests_total of {}xx is {}, clients saw {}", digit,
                     of, count);
  }
}

/// Each answer that has an id has its line in the log, with its status.
void check_log(const RunView& run, Violations& violations) {
  std::map<std::string, std::string_view> lines;
  size_t at = 0;
  const std::string& log = run.access_log;
  while (at < log.size()) {
    size_t end = log.find('\n', at);
    std::string_view line(log.data() + at, end - at);
    at = end + 1;
    constexpr std::string_view kKey = "\"request_id\":\"";
    size_t id = line.find(kKey);
    if (id == std::string_view::npos) {
      violations.add(Invariant::kUndisturbed, "a line of the access log has no id: {}", line);
      continue;
    }
    id += kKey.size();
    auto [known, fresh] = lines.emplace(line.substr(id, line.find('"', id) - id), line);
    if (!fresh) violations.add(Invariant::kUndisturbed, "two lines of the access log have one id: {}", line);
  }
  for (const Call& call : run.ledger.calls) {
    std::string id(call.head.fields.value("x-request-id"));
    if (call.outcome != Outcome::kAnswered || id.empty() || call.harmed || call.deed != ClientDeed::kNone)
      continue;
    auto line = lines.find(id);
    if (line == lines.end()) {
      violations.add(Invariant::kUndisturbed, "exchange {} ({}) is not in the access log", call.number,
                     call.kind);
      continue;
    }
    std::string status = fmt::format("\"status\":{},", call.head.status());
    if (line->second.find(status) == std::string_view::npos)
      violations.add(Invariant::kUndisturbed, "exchange {} got {}, the access log says {}", call.number,
                     call.head.status(), line->second);
    std::string tries = fmt::format("\"tries\":{},", call.servings.size());
    bool plain = run.calm && run.ledger.losses.empty() && !call.servings.empty();
    if (plain && line->second.find(tries) == std::string_view::npos)
      violations.add(Invariant::kUndisturbed, "exchange {} was tried {} times, the access log says {}",
                     call.number, call.servings.size(), line->second);
  }
}

}  // namespace

void check_accounts(const RunView& run, Violations& violations) {
  check_limited(run, violations);
  bool plain = run.calm && !run.profile.client_deeds && !run.profile.early_drain;
  if (plain) check_requests(run, violations);
  if (!run.access_log.empty()) check_log(run, violations);
}

}  // namespace sluice::sim
