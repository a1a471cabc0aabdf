#include "report.h"

#include <cstdio>

#include "io/sim/sim_faults.h"

namespace sluice::sim {

std::string_view invariant_text(Invariant invariant) {
  switch (invariant) {
    case Invariant::kOneAnswer:
      return "1: each request gets exactly one whole answer, or its connection is closed";
    case Invariant::kIdentity:
      return "2: no byte of one exchange is seen by another";
    case Invariant::kRateLimit:
      return "3: rate limits admit exactly what the algorithm says";
    case Invariant::kGivenBack:
      return "4: everything taken is given back";
    case Invariant::kAtMostOnce:
      return "5: the upstream sees what is not idempotent at most once";
    case Invariant::kNoEndlessWait:
      return "6: nothing waits for ever";
    case Invariant::kRepeatable:
      return "7: the same seed gives the same events";
    case Invariant::kUndisturbed:
      return "8: who meets no fault gets its answer, as the upstream gave it";
  }
  return "";
}

void Report::add(const RunResult& result) {
  ++seeds_;
  calls_ += result.calls;
  answered_ += result.answered;
  closed_ += result.closed;
  refused_ += result.refused;
  reloads_ += result.reloads;
  events_ += result.events;
  for (size_t i = 0; i < faults_.size(); ++i) faults_[i] += result.faults[i];
  if (!json_ && trace_ && !result.trace.empty()) std::fputs(result.trace.c_str(), stdout);
  if (result.violations.empty()) return;
  failed_.push_back(result);
  if (!json_) print_failure(result);
}

void Report::print_failure(const RunResult& result) const {
  fmt::print("\nseed {}: FAILED\n  scenario: {}\n", result.seed, result.scenario);
  for (const Violation& violation : result.violations)
    fmt::print("  invariant {}\n    {}\n", invariant_text(violation.invariant), violation.what);
  fmt::print("  repeat: ./dev sim --seed {} --trace\n", result.seed);
}

bool Report::finish() {
  took_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count();
  if (json_)
    print_json();
  else
    print_text();
  std::fflush(stdout);
  return failed_.empty();
}

void Report::print_text() const {
  fmt::print("{} seeds in {:.1f} s ({:.0f} a second), {} reloads\n", seeds_, took_,
             static_cast<double>(seeds_) / took_, reloads_);
  fmt::print("{} requests: {} answered, {} closed, {} refused ({:.0f} a second)\n", calls_, answered_,
             closed_, refused_, static_cast<double>(calls_) / took_);
  std::string faults;
  for (size_t i = 0; i < faults_.size(); ++i)
    if (faults_[i])
      faults += fmt::format("{}{} {}", faults.empty() ? "" : ", ", faults_[i],
                            io::fault_name(static_cast<io::FaultKind>(i)));
  fmt::print("faults: {}\n", faults.empty() ? "none" : faults);
  fmt::print("{} passed, {} failed\n", seeds_ - failed_.size(), failed_.size());
}

void Report::print_json() const {
  auto quoted = [](std::string_view text) {
    std::string result = "\"";
    for (char c : text) {
      if (c == '"' || c == '\\')
        result += fmt::format("\\{}", c);
      else if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7e)
        result += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
      else
        result += c;
    }
    return result + "\"";
  };
  std::string faults;
  for (size_t i = 0; i < faults_.size(); ++i)
    faults += fmt::format("{}{}:{}", i ? "," : "", quoted(io::fault_name(static_cast<io::FaultKind>(i))),
                          faults_[i]);
  std::string failures;
  for (const RunResult& result : failed_)
    for (const Violation& violation : result.violations)
      failures += fmt::format("{}{{\"seed\":{},\"invariant\":{},\"text\":{},\"what\":{},\"repeat\":{}}}",
                              failures.empty() ? "" : ",", result.seed, static_cast<int>(violation.invariant),
                              quoted(invariant_text(violation.invariant)), quoted(violation.what),
                              quoted(fmt::format("./dev sim --seed {} --trace", result.seed)));
  fmt::print(
      "{{\"seeds\":{},\"failed\":{},\"seconds\":{:.3f},\"seeds_per_second\":{:.1f},"
      "\"requests\":{},\"answered\":{},\"closed\":{},\"refused\":{},\"requests_per_second\":{:.0f},"
      "\"reloads\":{},\"events\":{},\"faults\":{{{}}},\"failures\":[{}]}}\n",
      seeds_, failed_.size(), took_, static_cast<double>(seeds_) / took_, calls_, answered_, closed_,
      refused_, static_cast<double>(calls_) / took_, reloads_, events_, faults, failures);
}

}  // namespace sluice::sim
