// The checks of the access log: what a line says of an exchange, against what client and upstream saw of it.
#include <fmt/chrono.h>

#include <cmath>

#include "log_lines.h"

namespace sluice::sim {

LogLine::LogLine(std::string_view json) : json_(json) {
  // Flat, and no text of ours has a quote in it.
  std::string_view rest = json.substr(1);
  while (rest.starts_with('"')) {
    size_t colon = rest.find("\":");
    std::string_view key = rest.substr(1, colon - 1);
    rest.remove_prefix(colon + 2);
    bool quoted = rest.starts_with('"');
    if (quoted) rest.remove_prefix(1);
    std::string_view value = rest.substr(0, rest.find_first_of(quoted ? "\"" : ",}"));
    members_.emplace_back(key, value);
    rest.remove_prefix(std::min(rest.size(), value.size() + (quoted ? 2 : 1)));
  }
}

std::string_view LogLine::text(std::string_view key) const {
  for (const auto& [name, value] : members_)
    if (name == key) return value;
  return {};
}

double LogLine::number(std::string_view key) const {
  std::string text(this->text(key));
  return text.empty() ? 0 : std::stod(text);
}

LogLines::LogLines(std::string_view log, Violations& violations) {
  while (!log.empty()) {
    lines_.emplace_back(log.substr(0, log.find('\n')));
    const LogLine& line = lines_.back();
    log.remove_prefix(line.json().size() + 1);
    std::string_view id = line.text("request_id");
    if (id.empty())
      violations.add(Invariant::kUndisturbed, "a line of the access log has no id: {}", line.json());
    else if (!by_id_.emplace(id, lines_.size() - 1).second)
      violations.add(Invariant::kUndisturbed, "two lines of the access log have one id: {}", line.json());
  }
}

const LogLine* LogLines::find(std::string_view id) const {
  auto known = by_id_.find(id);
  return known == by_id_.end() ? nullptr : &lines_[known->second];
}

namespace {

constexpr double kSlack = 0.05;  // seconds

class LineChecker {
 public:
  LineChecker(const RunView& run, const Call& call, const LogLine& line, Violations& violations)
      : run_(run), call_(call), line_(line), violations_(violations) {
    if (!call.servings.empty()) last_ = call.servings.back();
  }

  void check() {
    std::string code = problem_code(call_);
    bool own = call_.head.fields.count("x-sim-serving") == 0;
    expect("status", std::to_string(call_.head.status()));
    expect("method", call_.method);
    expect("host", call_.host);
    expect("client_address", call_.client_address);
    expect("protocol", call_.http10 ? "HTTP/1.0" : "HTTP/1.1");
    expect("listener", call_.side ? "side" : call_.tls ? "secure" : "plain");
    expect("client_request_id", call_.foreign_id);
    bool plain_path = call_.path.find("//") == std::string::npos &&
                      call_.path.find("/.") == std::string::npos && call_.path.find('%') == std::string::npos;
    if (plain_path) expect("path", call_.path);
    if (!own || call_.method != "HEAD") expect("error_code", code);
    static constexpr std::string_view kOurs[] = {"no_route", "method_not_allowed", "rate_limited",
                                                 "repeated_credential"};
    bool ours = std::ranges::find(kOurs, code) != std::end(kOurs);
    if (ours || code.starts_with("upstream_")) expect("error_by", ours ? "gateway" : "upstream");
    if (!own) expect("error_by", "");
    if (call_.kind == "keys") expect("consumer", call_.decision ? call_.limit_key : "");
    std::string_view dry = line_.text("dry_run");
    bool is_dry = dry == "missing_credential" || dry == "rate_limited";
    if (call_.kind == "dry" ? !is_dry : !dry.empty()) wrong("dry_run");
    if (!run_.calm) return;
    check_upstream();
    check_bytes();
    check_times();
  }

 private:
  void wrong(std::string_view key) {
    violations_.add(Invariant::kUndisturbed, "exchange {} ({}): `{}` is wrong in the access log: {}",
                    call_.number, call_.kind, key, line_.json());
  }
  void expect(std::string_view key, std::string_view value) {
    if (line_.text(key) != value) wrong(key);
  }

  void check_upstream() {
    if (!last_ || !run_.ledger.losses.empty()) return;
    expect("tries", std::to_string(call_.servings.size()));
    expect("upstream", last_->upstream);
    bool named = last_->upstream == "named";
    if (!line_.text("target").starts_with(named ? "backend.sim:" : last_->target + ":")) wrong("target");
  }

  void check_bytes() {
    expect("response_bytes", std::to_string(call_.answer_bytes));
    bool whole = !call_.has_body || (last_ && last_->whole_request && !last_->early);
    if (whole && call_.kind != "malformed")
      expect("request_bytes", std::to_string(call_.head_wire.size() + call_.body_wire.size()));
  }

  void check_times() {
    double all = line_.number("seconds");
    double upstream = line_.number("upstream_seconds");
    double gateway = line_.number("gateway_seconds");
    if (std::abs(upstream + gateway - all) > 3e-6 || all > seconds(call_.ended - call_.begun) + kSlack)
      wrong("seconds");
    if (!last_ || !last_->answered || call_.head.fields.count("x-sim-serving") == 0) return;
    double least = seconds(last_->answered_at - last_->begun) - kSlack;
    if (all < least) wrong("seconds");
    if (upstream < least) wrong("upstream_seconds");
    // The request had come when the upstream got it.
    auto offset = run_.world.wall_now() - WallTime(run_.world.now().time_since_epoch());
    WallTime latest = WallTime(last_->begun.time_since_epoch()) + offset + std::chrono::milliseconds(1);
    auto whole = std::chrono::floor<std::chrono::seconds>(latest.time_since_epoch());
    auto fraction = std::chrono::floor<std::chrono::milliseconds>(latest.time_since_epoch() - whole);
    std::string text = fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}",
                                   fmt::gmtime(static_cast<std::time_t>(whole.count())), fraction.count());
    if (line_.text("time").substr(0, text.size()) > text) wrong("time");
  }

  const RunView& run_;
  const Call& call_;
  const LogLine& line_;
  Violations& violations_;
  const Serving* last_ = nullptr;
};

/// Lines of exchanges that did not come to a whole answer.
void check_broken(const RunView& run, const Call& call, const LogLines& log, Violations& violations) {
  if (!run.calm || call.outcome != Outcome::kClosed || call.servings.empty() || call.spoiled) return;
  const Serving& last = *call.servings.back();
  bool left = call.deed == ClientDeed::kLeave && last.deed == UpstreamDeed::kSilence;
  bool cut = call.deed == ClientDeed::kNone && call.answer_begun &&
             (last.deed == UpstreamDeed::kTruncated || last.deed == UpstreamDeed::kBadChunk);
  const LogLine* line = log.find(last.request_id);
  // The client broke the connection while its answer was on the way: 499 unless all of it was out by then.
  bool reset = call.deed == ClientDeed::kResetAnswer && last.deed == UpstreamDeed::kAnswer;
  if (reset && line && line->number("response_bytes") < static_cast<double>(last.body.size()) &&
      call.method != "HEAD" && line->text("status") != "499" && line->text("error_by") != "upstream")
    violations.add(Invariant::kUndisturbed,
                   "exchange {} ({}) was broken off in its answer, and the log says {}", call.number,
                   call.kind, line->json());
  if (!left && !cut) return;
  bool sound = line && (left ? line->text("status") == "499" && line->text("error_by") == "client"
                             : line->text("error_by") == "upstream");
  if (!sound)
    violations.add(Invariant::kUndisturbed, "exchange {} ({}) was broken off by {}, and the log says {}",
                   call.number, call.kind, left ? "its client" : "its upstream",
                   line ? line->json() : "nothing");
}

}  // namespace

void check_log(const RunView& run, const LogLines& log, Violations& violations) {
  for (const Call& call : run.ledger.calls) check_broken(run, call, log, violations);
  for (const Call& call : run.ledger.calls) {
    std::string id(call.head.fields.value("x-request-id"));
    if (call.outcome != Outcome::kAnswered || id.empty() || call.harmed || call.deed != ClientDeed::kNone)
      continue;
    const LogLine* line = log.find(id);
    if (line && call.kind != "quiet")
      LineChecker(run, call, *line, violations).check();
    else if (!line == (call.kind != "quiet"))
      violations.add(Invariant::kUndisturbed, "exchange {} ({}) is {} the access log", call.number, call.kind,
                     line ? "in" : "not in");
  }
}

}  // namespace sluice::sim
