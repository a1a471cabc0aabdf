#include "throttle_model.h"

namespace sluice::sim {

namespace {

/// What is seen at one place is seen so much later at another.
constexpr Duration kBlink = std::chrono::milliseconds(5);

double ms(Duration duration) { return seconds(duration) * 1000; }

}  // namespace

void ThrottleModel::come(TrafficCall& call, Instant now) {
  call.asked = call.reserved = now;
  call.before_it = inside_ + outside_;
  ++outside_;
  if (place_.rate == 0) return;
  Duration longest = std::min<Duration>(place_.max_wait, place_.interval() * int64_t{place_.queue});
  Instant moment = std::max(next_, now);
  call.refused_by_rate = moment - now > longest;
  if (call.refused_by_rate) return;
  call.reserved = moment;
  next_ = moment + place_.interval();
}

void ThrottleModel::pass(TrafficCall& call, Instant now) {
  call.passed = now;
  --outside_;
  ++inside_;
  changes_.push_back({now, inside_});
  if (place_.concurrency && inside_ > place_.concurrency)
    violations_.add(Invariant::kRateLimit, "exchange {} is the {}. of {} at once behind throttle \"{}\"",
                    call.number, inside_, place_.concurrency, place_.name);
  if (call.refused_by_rate || now < call.reserved)
    violations_.add(Invariant::kRateLimit, "exchange {} passes throttle \"{}\" {} ms before its time",
                    call.number, place_.name, ms(call.reserved - now));
}

void ThrottleModel::leave(Instant now) {
  --inside_;
  changes_.push_back({now, inside_});
}

void ThrottleModel::end(TrafficCall& call, Instant now) {
  call.over = now;
  if (call.passed == kNever) --outside_;
}

/// Whether there was room inside for longer than a moment.
bool ThrottleModel::was_free(Instant from, Instant until) const {
  size_t inside = 0;
  Instant since{};
  auto free = [&](Instant to) {
    return inside < place_.concurrency && std::min(to, until) - std::max(since, from) > kBlink;
  };
  for (const Change& change : changes_) {
    if (free(change.at)) return true;
    since = change.at;
    inside = change.inside;
  }
  return free(until);
}

void ThrottleModel::check_refused(const TrafficCall& call) const {
  Duration waited = call.over - call.asked;
  Duration least =
      place_.target > Duration::zero() ? std::min(place_.target, place_.max_wait) : place_.max_wait;
  size_t places = place_.concurrency + place_.queue;
  if (waited <= kBlink) {
    // At once: there must have been no place to wait either.
    if (call.before_it < places)
      violations_.add(Invariant::kUndisturbed, "exchange {} was refused by \"{}\" with {} of {} places taken",
                      call.number, place_.name, call.before_it, places);
  } else if (waited + kBlink < least || waited > place_.max_wait + kBlink) {
    violations_.add(Invariant::kNoEndlessWait, "exchange {} waited {} ms for \"{}\", which says {} ms",
                    call.number, ms(waited), place_.name, ms(place_.max_wait));
  } else if (was_free(call.asked, call.over)) {
    violations_.add(Invariant::kNoEndlessWait, "exchange {} waited in vain for \"{}\", where there was room",
                    call.number, place_.name);
  }
}

/// A higher priority first, of the same one who came first.
void ThrottleModel::check_order(const TrafficCall& call, const TrafficLedger& ledger) const {
  for (const TrafficCall& other : ledger.calls) {
    if (other.api != call.api || other.asked == kNever || other.asked + kBlink >= call.passed) continue;
    bool goes_first = other.first == call.first ? other.asked + kBlink < call.asked : other.first;
    bool waits_on = std::min(other.passed, other.over) > call.passed + kBlink;
    if (goes_first && waits_on)
      violations_.add(Invariant::kUndisturbed, "exchange {} passed \"{}\" before exchange {}", call.number,
                      place_.name, other.number);
  }
}

void ThrottleModel::check(const TrafficLedger& ledger, bool calm) const {
  for (const TrafficCall& call : ledger.calls) {
    if (call.api != place_.name || call.asked == kNever) continue;
    bool throttled = call.status == 503;
    bool passed = call.passed != kNever;
    bool whole = call.outcome == TrafficCall::Outcome::kAnswered;
    if (whole && !passed && !throttled)
      violations_.add(Invariant::kRateLimit, "exchange {} was not let through \"{}\" and got {}", call.number,
                      place_.name, call.status);
    if (!calm || call.left) continue;
    if (!place_.concurrency) {
      if (passed == call.refused_by_rate || (passed && call.passed > call.reserved + kBlink))
        violations_.add(Invariant::kRateLimit, "exchange {} {} \"{}\", {} ms after its time", call.number,
                        passed ? "passed" : "was refused by", place_.name,
                        ms(std::min(call.passed, call.over) - call.reserved));
    } else if (place_.rate == 0) {
      if (passed)
        check_order(call, ledger);
      else
        check_refused(call);
    }
  }
}

}  // namespace sluice::sim
