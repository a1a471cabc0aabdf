#include "traffic_check.h"

#include <algorithm>
#include <charconv>

namespace sluice::sim {

namespace {

constexpr std::string_view kDeeds[] = {"answers",      "answers 503",      "resets",
                                       "says nothing", "ends in the body", "ends behind its answer"};

using Outcome = TrafficCall::Outcome;

/// Of an answer with problem details; empty: it has none.
std::string code_of(const TrafficCall& call) {
  constexpr std::string_view kMember = "\"code\":\"";
  size_t at = call.answer.find(kMember);
  if (at == std::string::npos) return {};
  at += kMember.size();
  return call.answer.substr(at, call.answer.find('"', at) - at);
}

/// What RateLimit says is left, limit by limit.
std::vector<uint64_t> rooms_told(const TrafficCall& call) {
  std::vector<uint64_t> rooms;
  std::string_view text = call.head.value("ratelimit");
  for (size_t at = 0; (at = text.find(";r=", at)) != std::string_view::npos;) {
    at += 3;
    uint64_t room = 0;
    std::from_chars(text.data() + at, text.data() + text.size(), room);
    rooms.push_back(room);
  }
  return rooms;
}

std::string text_of(const std::vector<uint64_t>& rooms) {
  std::string text;
  for (uint64_t room : rooms) text += fmt::format("{}{}", text.empty() ? "" : ", ", room);
  return text;
}

}  // namespace

// --- limits ---

const LimitPlace* LimitsChecker::place_of(const TrafficCall& call) const {
  for (const LimitPlace& place : document_.limits)
    if (place.name == call.api) return &place;
  return nullptr;
}

LimitsChecker::Caller& LimitsChecker::caller_of(const TrafficCall& call, const LimitPlace& place) {
  Caller& caller = callers_[{place.name, call.caller}];
  if (caller.model.limits.empty())
    for (const LimitRule& rule : place.limits) caller.model.limits.emplace_back(rule);
  return caller;
}

WallTime LimitsChecker::quota_end(const LimitPlace& place, WallTime wall) {
  for (const LimitRule& rule : place.limits)
    if (rule.kind == LimitRule::Kind::kQuota) return rule.period_end(wall);
  return {};
}

void LimitsChecker::come(TrafficCall& call, Instant now, WallTime wall) {
  const LimitPlace& place = *place_of(call);
  LimitsModel& model = caller_of(call, place).model;
  call.asked = now;
  came_in_[call.number] = quota_end(place, wall);
  LimitVerdict verdict;
  if (const LimitModel* refusing = model.refusing(place.cost, now, wall)) {
    verdict.again_in = static_cast<uint64_t>(std::max<int64_t>(
        1, std::chrono::ceil<std::chrono::seconds>(refusing->until(place.cost, now, wall)).count()));
    verdict.is_quota = refusing->rule().kind == LimitRule::Kind::kQuota;
  } else if (place.has_quota()) {
    return;  // it may have to wait
  } else {
    model.take(place.cost, now, wall);
    verdict.allowed = true;
  }
  verdict.rooms = model.rooms(now, wall);
  call.verdict = verdict;
}

void LimitsChecker::pass(TrafficCall& call, Instant now, WallTime wall) {
  const LimitPlace& place = *place_of(call);
  LimitsModel& model = caller_of(call, place).model;
  call.passed = now;
  // Who comes in one period and is let through in the next may be counted in either.
  model.blurred |= came_in_[call.number] != quota_end(place, wall);
  if (!model.blurred && model.refusing(place.cost, now, wall))
    violations_.add(Invariant::kRateLimit, "exchange {} was let through \"{}\" with room for {} of {}",
                    call.number, place.name, text_of(model.rooms(now, wall)), place.cost);
  model.take(place.cost, now, wall);
  call.verdict = LimitVerdict{.allowed = true, .rooms = model.rooms(now, wall)};
}

void LimitsChecker::check(bool calm) {
  for (const TrafficCall& call : ledger_.calls) {
    const LimitPlace* place = place_of(call);
    if (!place || call.asked == kNever || call.outcome != Outcome::kAnswered) continue;
    if (caller_of(call, *place).model.blurred) continue;
    if (call.verdict)
      check_verdict(call, *place);
    else if (calm)
      check_waited(call, *place);
  }
}

void LimitsChecker::check_verdict(const TrafficCall& call, const LimitPlace& place) {
  const LimitVerdict& verdict = *call.verdict;
  int wanted = verdict.allowed ? 200 : 429;
  if (call.status != wanted)
    return violations_.add(Invariant::kRateLimit, "exchange {} got {} at \"{}\" instead of {}", call.number,
                           call.status, place.name, wanted);
  if (rooms_told(call) != verdict.rooms)
    violations_.add(Invariant::kRateLimit, "exchange {} was told that {} are left at \"{}\" instead of {}",
                    call.number, text_of(rooms_told(call)), place.name, text_of(verdict.rooms));
  if (verdict.allowed) return;
  std::string_view code = verdict.is_quota ? "quota_exceeded" : "rate_limited";
  if (code_of(call) != code || call.head.value("retry-after") != std::to_string(verdict.again_in))
    violations_.add(
        Invariant::kRateLimit, "exchange {} got {} at \"{}\", to come again in {} s, instead of {} and {} s",
        call.number, code_of(call), place.name, call.head.value("retry-after"), code, verdict.again_in);
}

/// It came when there was room, waited, and was refused: then others must have taken the room meanwhile.
void LimitsChecker::check_waited(const TrafficCall& call, const LimitPlace& place) {
  const auto& tight_at = caller_of(call, place).model.tight_at;
  bool taken =
      std::ranges::any_of(tight_at, [&](Instant at) { return at >= call.asked && at <= call.ended; });
  if (call.status != 429 || !taken)
    violations_.add(Invariant::kRateLimit, "exchange {} got {} at \"{}\", where there was room", call.number,
                    call.status, place.name);
}

// --- answers ---

namespace {

class Checker {
 public:
  Checker(const TrafficView& view, Violations& violations) : view_(view), violations_(violations) {}

  void check(const TrafficCall& call) {
    std::string_view number = call.head.value("x-sim-serving");
    if (!number.empty()) return check_passed(call, number);
    bool whole = call.outcome == Outcome::kAnswered;
    if (call.behaves && !(whole && call.status == 200))
      add(call, Invariant::kUndisturbed, "it failed when all faults were over");
    if (!view_.calm || call.left) return;
    if (call.outcome == Outcome::kUnsent) return add(call, Invariant::kUndisturbed, "it was never sent");
    if (!whole) return add(call, Invariant::kUndisturbed, "it was broken off");
    if (call.status < 500) {
      bool counted = call.answer == "counted" && call.status == 200;
      if (!counted && call.status != 429) add(call, Invariant::kUndisturbed, "the gateway answered");
    } else if (!may_fail(call)) {
      add(call, Invariant::kUndisturbed, "the gateway answered");
    }
  }

 private:
  template <class... A>
  void add(const TrafficCall& call, Invariant invariant, fmt::format_string<A...> format, A&&... arguments) {
    std::string story;
    for (const TrafficServing* serving : call.servings)
      story += fmt::format("; {} {}", serving->target, kDeeds[static_cast<size_t>(serving->deed)]);
    violations_.add(invariant, "traffic exchange {} ({} {}, {} {}{}): {}", call.number, call.method,
                    call.path, call.status, code_of(call), story,
                    fmt::format(format, std::forward<A>(arguments)...));
  }

  void check_passed(const TrafficCall& call, std::string_view number) {
    size_t index = 0;
    std::from_chars(number.data(), number.data() + number.size(), index);
    const auto& servings = view_.ledger.servings;
    if (index >= servings.size() || servings[index].call != &call)
      return add(call, Invariant::kIdentity, "it got the answer of serving {}", number);
    const TrafficServing& serving = servings[index];
    if (call.servings.back() != &serving)
      add(call, Invariant::kOneAnswer, "it got an answer that was given up");
    if (call.status != serving.status) add(call, Invariant::kUndisturbed, "{} was sent", serving.status);
    if (!serving.body.starts_with(call.answer)) add(call, Invariant::kIdentity, "its answer is not its own");
    if (call.outcome != Outcome::kAnswered) {
      bool excused = !view_.calm || call.left || serving.deed == TrafficDeed::kTruncated;
      if (!excused) add(call, Invariant::kUndisturbed, "it was broken off");
      return;
    }
    if (call.answer.size() != serving.body.size() || serving.deed == TrafficDeed::kTruncated)
      add(call, Invariant::kOneAnswer, "{} of {} bytes passed for the whole answer", call.answer.size(),
          serving.body.size());
  }

  /// Whether the gateway may have answered with an error of its own in a world without faults.
  bool may_fail(const TrafficCall& call) const {
    std::string code = code_of(call);
    if (code == "throttled") return call.passed == kNever;  // the throttle's model looks at it
    bool elsewhere = call.api == TrafficPool::kApi && (view_.troubled || view_.upstream_deeds);
    if (code == "no_target" && elsewhere) return true;
    if ((code == "upstream_reset" || code == "upstream_refused") && view_.troubled && elsewhere) return true;
    if (code == "circuit_breaker_open") return call.api == TrafficPool::kApi;  // check_pool looks at it
    // A kept connection that was closed just then fails what cannot be sent again.
    bool once = !call.idempotent() || !call.body.empty();
    if (call.servings.empty()) return code == "upstream_reset" && view_.upstream_deeds && once;
    TrafficDeed last = call.servings.back()->deed;
    if (code == "upstream_timeout") return last == TrafficDeed::kSilence;
    if (code != "upstream_reset") return false;
    // check_pool looks at what is tried again there.
    bool again = call.servings.size() > 1 || call.api == TrafficPool::kApi;
    return last == TrafficDeed::kReset && (once || again);
  }

  const TrafficView& view_;
  Violations& violations_;
};

}  // namespace

void check_traffic(const TrafficView& view, Violations& violations) {
  Checker checker(view, violations);
  for (const TrafficCall& call : view.ledger.calls) checker.check(call);
}

std::string describe_traffic(const TrafficLedger& ledger) {
  static constexpr const char* kOutcomes[] = {"unsent", "answered", "broken"};
  std::string text;
  auto at = [](Instant when) {
    return when == kNever ? std::string("never") : fmt::format("{:.6f}", seconds(when.time_since_epoch()));
  };
  for (const TrafficCall& call : ledger.calls) {
    text +=
        fmt::format("traffic exchange {} ({} {}, {}), {} to {}: {} {} {}{}; came {}, passed {}, over {}\n",
                    call.number, call.method, call.path, call.caller, at(call.begun), at(call.ended),
                    kOutcomes[static_cast<size_t>(call.outcome)], call.status, code_of(call),
                    call.left ? ", left" : "", at(call.asked), at(call.passed), at(call.over));
    for (const TrafficServing* serving : call.servings)
      text += fmt::format("    serving {} at {}, {}: {}, {}{}\n", serving->number, serving->target,
                          at(serving->begun), kDeeds[static_cast<size_t>(serving->deed)], serving->status,
                          serving->sent_whole ? ", sent whole" : "");
  }
  return text;
}

}  // namespace sluice::sim
