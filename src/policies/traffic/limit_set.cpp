#include "policies/traffic/limit_set.h"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::policies {

namespace {

using gateway::Exchange;
using gateway::Refusal;

constexpr Refusal kTooMany{429, "rate_limited", "Too many requests; try again later."};
constexpr Refusal kUsedUp{429, "quota_exceeded", "The quota of this period is used up."};
/// A quota that is still not known after so many writes is taken for used up.
constexpr int kMostWrites = 8;

/// The one that refuses for longest, before one that only does not know; null: none does.
const LimitDecision* refusal_of(const LimitSet::Asked& asked) {
  const LimitDecision* longest = nullptr;
  auto rank = [](const LimitDecision& each) { return std::pair(!each.unknown, each.retry_after); };
  for (const LimitDecision& each : asked.decisions)
    if (!each.allowed && (!longest || rank(each) > rank(*longest))) longest = &each;
  return longest;
}

}  // namespace

LimitSet::LimitSet(gateway::Services& services, std::span<const config::Limit> limits, std::string_view id,
                   std::string_view identity, std::string_view rates_of) {
  for (size_t i = 0; i < limits.size(); ++i) {
    std::string name = limits.size() == 1 ? std::string(id) : fmt::format("{}-{}", id, i + 1);
    // Quotas are told apart by their periods, so that others may come and go beside them.
    std::string state(identity);
    if (!limits[i].quota) state += fmt::format("{} {}", rates_of, i);
    limiters_.emplace_back(services, limits[i], name, state);
  }
}

LimitSet::Asked* LimitSet::ask(Exchange& exchange, std::string_view key, uint32_t cost) const {
  auto* asked = exchange.arena.make<Asked>();
  asked->set = this;
  asked->cost = cost;
  asked->keys = exchange.arena.allocate_array<Limiter::Key>(limiters_.size());
  asked->decisions = exchange.arena.allocate_array<LimitDecision>(limiters_.size());
  for (size_t i = 0; i < limiters_.size(); ++i) asked->keys[i] = limiters_[i].key(key, exchange.loop());
  return asked;
}

bool LimitSet::take(Asked& asked, const io::Loop& loop) {
  const std::vector<Limiter>& limiters = asked.set->limiters_;
  asked.allowed = false;
  // What one refuses is not to cost anything at the others.
  bool all = true;
  for (size_t i = 0; i < limiters.size() && limiters.size() > 1; ++i) {
    asked.decisions[i] = limiters[i].peek(asked.keys[i], loop, asked.cost);
    all = all && asked.decisions[i].allowed;
  }
  if (!all) return false;
  // Another worker may be faster. Quotas come first, for they can be given back.
  for (bool quotas : {true, false})
    for (size_t i = 0; i < limiters.size(); ++i) {
      if (limiters[i].is_quota() != quotas) continue;
      asked.decisions[i] = limiters[i].take(asked.keys[i], loop, asked.cost);
      if (asked.decisions[i].allowed) continue;
      for (size_t j = 0; j < limiters.size(); ++j) {
        bool taken = limiters[j].is_quota() && (!quotas || j < i);
        if (taken) limiters[j].give_back(asked.keys[j], asked.cost);
      }
      return false;
    }
  asked.allowed = true;
  return true;
}

bool LimitSet::is_unknown(const Asked& asked) {
  // A rate that refuses does so whatever the quota says.
  const LimitDecision* refused = refusal_of(asked);
  return refused && refused->unknown;
}

io::Task<> LimitSet::wait(Asked& asked, io::Loop& loop, io::CancelToken& token) {
  const std::vector<Limiter>& limiters = asked.set->limiters_;
  for (int writes = 0; writes < kMostWrites && !token.cancelled(); ++writes) {
    for (size_t i = 0; i < limiters.size(); ++i)
      if (asked.decisions[i].unknown) co_await limiters[i].await_more(asked.keys[i], loop, asked.cost, token);
    bool done = take(asked, loop) || !is_unknown(asked);
    if (done) co_return;
  }
}

void LimitSet::charge(const Asked& asked, const io::Loop& loop, uint32_t more) {
  const std::vector<Limiter>& limiters = asked.set->limiters_;
  for (size_t i = 0; i < limiters.size(); ++i) limiters[i].charge(asked.keys[i], loop, more);
}

gateway::Step LimitSet::refuse(Exchange& exchange, const Asked& asked) {
  const LimitDecision* refused = refusal_of(asked);
  const Limiter& limiter = asked.set->limiters_[static_cast<size_t>(refused - asked.decisions.data())];
  gateway::Step step = exchange.refuse(limiter.is_quota() ? kUsedUp : kTooMany);
  uint64_t seconds = std::max<uint64_t>(1, whole_seconds(refused->retry_after));
  exchange.response.fields.add(http::FieldName::kRetryAfter, number_text(seconds, exchange.arena));
  return step;
}

void LimitSet::tell(Exchange& exchange, const Asked& asked, bool legacy) {
  const std::vector<Limiter>& limiters = asked.set->limiters_;
  Arena& arena = exchange.arena;
  std::string_view policy;
  std::string_view items;
  size_t least = 0;
  for (size_t i = 0; i < limiters.size(); ++i) {
    std::string_view comma = i > 0 ? ", " : "";
    policy = limiters.size() == 1
                 ? limiters[i].policy_item(exchange.loop(), arena)
                 : arena.concat(policy, comma, limiters[i].policy_item(exchange.loop(), arena));
    items = arena.concat(items, comma, limiters[i].item(asked.decisions[i], arena));
    if (asked.decisions[i].remaining < asked.decisions[least].remaining) least = i;
  }
  http::Fields& fields = exchange.response.fields;
  fields.add(http::FieldName::kRateLimitPolicy, policy);
  fields.add(http::FieldName::kRateLimit, items);
  if (!legacy) return;
  const LimitDecision& told = asked.decisions[least];
  fields.add("X-RateLimit-Limit", number_text(limiters[least].count(), arena));
  fields.add("X-RateLimit-Remaining", number_text(told.remaining, arena));
  fields.add("X-RateLimit-Reset", number_text(whole_seconds(told.reset_after), arena));
}

}  // namespace sluice::policies
