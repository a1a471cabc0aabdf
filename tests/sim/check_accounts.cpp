// The checks of what the gateway says about itself: metrics and access log.
#include <map>

#include "faults.h"
#include "inspect.h"
#include "log_lines.h"

namespace sluice::sim {

namespace {

void check_limited(const RunView& run, Violations& violations) {
  std::map<std::string, uint64_t> refused{
      {"consumer", 0}, {"address", 0}, {"tenant", 0}, {"anyone", 0}, {"place", 0}};
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

/// Metrics and access log are two accounts of the same exchanges.
void check_against_log(const RunView& run, const LogLines& log, Violations& violations) {
  struct Wanted {
    std::string family, first, second;
    auto operator<=>(const Wanted&) const = default;
  };
  std::map<Wanted, uint64_t> counts;
  auto label = [](std::string_view name, std::string_view value) {
    return fmt::format("{}=\"{}\"", name, value);
  };
  for (const LogLine& line : log.lines()) {
    std::string code(line.text("error_code"));
    if (!code.empty()) ++counts[{"sluice_refused_total", label("code", code), ""}];
    static const std::map<std::string, std::string> kLimits{
        {"request_too_large", "request_body"},  {"target_too_long", "request_target"},
        {"too_many_fields", "request_fields"},  {"head_too_large", "request_head"},
        {"trailers_too_large", "request_head"}, {"too_many_interim_responses", "interim_responses"}};
    if (auto limit = kLimits.find(code); limit != kLimits.end())
      ++counts[{"sluice_limit_hits_total", label("limit", limit->second), ""}];
    std::string route = label("route", line.text("route"));
    std::string api = label("api", line.text("api"));
    if (!line.text("route").empty()) {
      ++counts[{"sluice_requests_total", api, route}];
      ++counts[{"sluice_requests_total", api + "," + route,
                label("code_class", fmt::format("{}xx", line.text("status").substr(0, 1)))}];
    }
    if (!line.text("api").empty()) {
      ++counts[{"sluice_request_seconds_count", api, label("phase", "total")}];
      ++counts[{"sluice_request_seconds_count", api, label("phase", "gateway")}];
      if (line.number("tries")) ++counts[{"sluice_request_seconds_count", api, label("phase", "upstream")}];
    }
    std::string upstream = label("upstream", line.text("upstream"));
    if (auto tries = static_cast<uint64_t>(line.number("tries"))) {
      counts[{"sluice_upstream_requests_total", upstream, ""}] += tries;
      counts[{"sluice_retries_total", upstream, ""}] += tries - 1;
      ++counts[{"sluice_upstream_seconds_count", upstream, ""}];
    }
  }
  for (const auto& [wanted, count] : counts) {
    uint64_t said = sum_of(run.metrics, wanted.family, wanted.first, wanted.second);
    if (said != count)
      violations.add(Invariant::kUndisturbed, "{}{{{} {}}} is {}, and the access log has {}", wanted.family,
                     wanted.first, wanted.second, said, count);
  }
}

}  // namespace

void check_accounts(const RunView& run, Violations& violations) {
  check_limited(run, violations);
  bool plain = run.calm && !run.profile.client_deeds && !run.profile.early_drain;
  if (plain) check_requests(run, violations);
  if (run.access_log.empty()) return;
  LogLines log(run.access_log, violations);
  check_log(run, log, violations);
  check_against_log(run, log, violations);
}

}  // namespace sluice::sim
