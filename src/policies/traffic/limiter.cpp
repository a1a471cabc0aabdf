#include "policies/traffic/limiter.h"

#include <fmt/format.h>

#include <charconv>
#include <cstring>

#include "base/hash.h"

namespace sluice::policies {

namespace {

constexpr auto kLongest = std::chrono::hours(24 * 366);

char* append(char* to, std::string_view text) {
  std::memcpy(to, text.data(), text.size());
  return to + text.size();
}
char* append(char* to, uint64_t number) { return std::to_chars(to, to + 20, number).ptr; }

WallTime end_of(const store::QuotaTable::Taken& taken) {
  return WallTime(std::chrono::seconds(taken.period_end));
}

}  // namespace

uint64_t whole_seconds(Duration duration) {
  Duration bounded = std::min<Duration>(duration, kLongest);
  return static_cast<uint64_t>(std::chrono::ceil<std::chrono::seconds>(bounded).count());
}

std::string_view number_text(uint64_t value, Arena& arena) {
  char* to = arena.allocate_chars(20);
  return {to, static_cast<size_t>(std::to_chars(to, to + 20, value).ptr - to)};
}

Limiter::Limiter(gateway::Services& services, const config::Limit& limit, std::string_view name,
                 std::string_view identity)
    : services_(services), item_start_(fmt::format("\"{}\";r=", name)) {
  if (limit.quota) {
    count_ = limit.quota->count;
    policy_item_ = fmt::format("\"{}\";q={};w=", name, count_);
    calendar_ = std::make_unique<Calendar>(limit.quota->unit, limit.timezone);
    // Not its count: who gets a larger quota keeps what it has used.
    quota_identity_ = fmt::format("{} {} {}", identity, config::unit_text(limit.quota->unit), limit.timezone);
    return;
  }
  count_ = limit.rate->count;
  Duration period = limit.rate->period;
  policy_item_ = fmt::format("\"{}\";q={};w={}", name, count_, whole_seconds(period));
  std::string rule;
  if (limit.algorithm == config::RateAlgorithm::kSlidingWindow) {
    auto& window = rule_.emplace<store::WindowRule>(store::WindowRule::of(count_, period));
    rule = fmt::format("sliding {} {}", window.limit, window.part.count());
  } else {
    bool fixed = limit.algorithm == config::RateAlgorithm::kFixedWindow;
    store::RateRule made = fixed ? store::RateRule::fixed_window(count_, period)
                                 : store::RateRule::of(count_, period, limit.burst.value_or(count_));
    rule_ = made;
    rule = fmt::format("{} {} {}", made.interval.count(), made.tolerance.count(), made.window.count());
  }
  // What is kept means something at one rate only.
  identity_ = hash64(fmt::format("{} {}", identity, rule));
}

Limiter::Key Limiter::key(std::string_view text, const io::Loop& loop) const {
  if (is_quota()) {
    store::CounterKey counter = services_.quotas.key(quota_identity_, text);
    auto end = calendar_->at(loop.wall_now()).end.time_since_epoch();
    return {counter.high, counter.low, std::chrono::duration_cast<std::chrono::seconds>(end).count()};
  }
  store::RateKey rate = std::holds_alternative<store::WindowRule>(rule_)
                            ? services_.windows.key(identity_, text)
                            : services_.rates.key(identity_, text);
  return {rate.fingerprint, rate.place};
}

LimitDecision Limiter::decide(const store::QuotaTable::Taken& taken, const io::Loop& loop,
                              uint32_t cost) const {
  using Outcome = store::QuotaTable::Taken::Outcome;
  LimitDecision decision;
  decision.allowed = taken.outcome == Outcome::kTaken;
  decision.unknown = taken.outcome == Outcome::kUnknown;
  decision.remaining = count_ - std::min(count_, taken.spent);
  decision.reset_after = std::max<Duration>(end_of(taken) - loop.wall_now(), Duration::zero());
  if (decision.allowed)
    decision.retry_after = Duration::zero();
  else
    decision.retry_after = cost > count_ ? Duration::max() : decision.reset_after;
  return decision;
}

LimitDecision Limiter::take(const Key& key, const io::Loop& loop, uint32_t cost) const {
  if (is_quota()) {
    store::QuotaDemand wanted = demand(key, cost);
    store::QuotaTable::Taken taken = services_.quotas.take(wanted);
    if (taken.low) services_.quotas.ask_for_more(wanted);
    return decide(taken, loop, cost);
  }
  store::RateKey rate{key.first, key.second};
  if (const auto* window = std::get_if<store::WindowRule>(&rule_))
    return {services_.windows.take(rate, *window, loop.now(), cost)};
  return {services_.rates.take(rate, std::get<store::RateRule>(rule_), loop.now(), cost)};
}

LimitDecision Limiter::peek(const Key& key, const io::Loop& loop, uint32_t cost) const {
  if (is_quota()) return decide(services_.quotas.peek(demand(key, cost)), loop, cost);
  store::RateKey rate{key.first, key.second};
  if (const auto* window = std::get_if<store::WindowRule>(&rule_))
    return {services_.windows.peek(rate, *window, loop.now(), cost)};
  return {services_.rates.peek(rate, std::get<store::RateRule>(rule_), loop.now(), cost)};
}

void Limiter::charge(const Key& key, const io::Loop& loop, uint32_t cost) const {
  if (is_quota()) return services_.quotas.charge(demand(key, cost));
  // Again when another worker was faster; each time there is less.
  while (cost > 0) {
    cost = static_cast<uint32_t>(std::min<uint64_t>(cost, peek(key, loop, 1).remaining));
    if (cost == 0 || take(key, loop, cost).allowed) return;
  }
}

void Limiter::give_back(const Key& key, uint32_t cost) const {
  services_.quotas.give_back(demand(key, cost));
}

io::Task<> Limiter::await_more(const Key& key, io::Loop& loop, uint32_t cost, io::CancelToken& token) const {
  co_await services_.quotas.await_more(loop, demand(key, cost), token);
}

char* Limiter::write_policy(char* to, const io::Loop& loop) const {
  to = append(to, policy_item_);
  if (!is_quota()) return to;
  CalendarPeriod period = calendar_->at(loop.wall_now());
  return append(to, whole_seconds(period.end - period.start));
}

char* Limiter::write_item(char* to, const LimitDecision& decision) const {
  to = append(append(to, item_start_), decision.remaining);
  return append(append(to, ";t="), whole_seconds(decision.reset_after));
}

}  // namespace sluice::policies
