#include "policies/traffic/limit_set.h"

#include <fmt/format.h>

#include <algorithm>

#include "gateway/worker.h"

namespace sluice::policies {

namespace {

using gateway::Exchange;
using gateway::Refusal;

constexpr Refusal kTooMany{429, "rate_limited", "Too many requests; try again later."};
constexpr Refusal kUsedUp{429, "quota_exceeded", "The quota of this period is used up."};
constexpr Refusal kUnavailable{503, "limit_unavailable", "Whether there is room cannot be told now."};
/// A quota that is still not known after so many writes is taken for used up.
constexpr int kMostWrites = 8;

/// The one that refuses for longest, before one that only does not know; null: none says so.
const LimitDecision* refusal_of(const LimitSet::Asked& asked) {
  const LimitDecision* longest = nullptr;
  auto rank = [](const LimitDecision& each) { return std::pair(!each.unknown, each.retry_after); };
  for (const LimitDecision& each : asked.decisions)
    if (!each.allowed && (!longest || rank(each) > rank(*longest))) longest = &each;
  return longest;
}

}  // namespace

LimitSet::LimitSet(const gateway::PolicyContext& context, std::span<const config::Limit> limits,
                   const LimitScope& scope) {
  for (size_t i = 0; i < limits.size(); ++i) {
    std::string name = limits.size() == 1 ? std::string(scope.id) : fmt::format("{}-{}", scope.id, i + 1);
    // Quotas are told apart by their periods, so that others may come and go beside them.
    std::string state(scope.identity);
    if (!limits[i].quota) state += fmt::format("{} {}", scope.rates_of, i);
    limiters_.emplace_back(context.services, limits[i], name, state);
  }
  const config::Sharing& sharing = scope.sharing;
  if (!limits.empty() && !sharing.is_local())
    shared_ =
        std::make_shared<const SharedLimits>(context.services, context.stores.find(sharing.store)->second,
                                             sharing, limits, scope.identity, scope.rates_of);
}

std::expected<void, std::string> check_store(const config::Sharing& sharing,
                                             const gateway::PolicyContext& context) {
  if (sharing.store.empty() || context.stores.contains(sharing.store)) return {};
  return std::unexpected(fmt::format("there is no store `{}` in `redis`", sharing.store));
}

LimitSet::Asked* LimitSet::ask(Exchange& exchange, std::string_view key, uint32_t cost) const {
  auto* asked = exchange.arena.make<Asked>();
  asked->set = this;
  asked->key = key;
  asked->cost = cost;
  asked->decisions = exchange.arena.allocate_array<LimitDecision>(limiters_.size());
  if (!shared_) {
    find_keys(exchange, *asked);
    take(*asked, exchange.loop());
  } else if (shared_->leases()) {
    conclude(*asked, shared_->spend(exchange, shared_->caller(key), asked->decisions, cost));
  } else {
    for (LimitDecision& each : asked->decisions) each = {{false, 0, {}, {}}, true, 0};
  }
  return asked;
}

void LimitSet::find_keys(Exchange& exchange, Asked& asked) const {
  asked.keys = exchange.arena.allocate_array<Limiter::Key>(limiters_.size());
  for (size_t i = 0; i < limiters_.size(); ++i) asked.keys[i] = limiters_[i].key(asked.key, exchange.loop());
}

gateway::Step LimitSet::enforce(Exchange& exchange, Asked& asked, telemetry::Counter limited) {
  if (is_unknown(asked)) return gateway::Step::wait(wait_and_enforce(exchange, asked, limited));
  if (asked.allowed) return gateway::Step::next();
  exchange.worker.metrics().add(limited);
  return refuse(exchange, asked);
}

io::Task<gateway::Step> LimitSet::wait_and_enforce(Exchange& exchange, Asked& asked,
                                                   telemetry::Counter limited) {
  co_await wait(exchange, asked);
  if (asked.allowed) co_return gateway::Step::next();
  exchange.worker.metrics().add(limited);
  co_return refuse(exchange, asked);
}

void LimitSet::conclude(Asked& asked, SharedLimits::Outcome outcome) const {
  asked.allowed = outcome == SharedLimits::Outcome::kAllowed;
}

/// What one refuses is not to cost anything at the others: those that cannot be given back are looked at
/// first. The last of them decides when it takes, and quotas can be given back. Another worker may still be
/// faster; then the request has cost something at some of them.
void LimitSet::take(Asked& asked, const io::Loop& loop) {
  const std::vector<Limiter>& limiters = asked.set->limiters_;
  asked.allowed = false;
  size_t last = limiters.size();  // of those that cannot be given back
  bool all = true;
  for (size_t i = limiters.size(); i-- > 0;) {
    if (limiters[i].is_quota()) continue;
    if (last == limiters.size()) {
      last = i;
      continue;
    }
    asked.decisions[i] = limiters[i].peek(asked.keys[i], loop, asked.cost);
    all = all && asked.decisions[i].allowed;
  }
  auto take_one = [&](size_t i) {
    asked.decisions[i] = limiters[i].take(asked.keys[i], loop, asked.cost);
    return asked.decisions[i].allowed;
  };
  size_t quotas = 0;  // of those before this place have been taken
  for (; all && quotas < limiters.size(); ++quotas)
    if (limiters[quotas].is_quota() && !take_one(quotas)) break;
  bool given = all && quotas == limiters.size() && (last == limiters.size() || take_one(last));
  for (size_t i = 0; given && i < last && last < limiters.size(); ++i)
    if (!limiters[i].is_quota()) given = take_one(i);
  asked.allowed = given;
  if (given) return;
  for (size_t i = 0; i < quotas; ++i)
    if (limiters[i].is_quota()) limiters[i].give_back(asked.keys[i], asked.cost);
  // What was not asked is told as it is.
  for (size_t i = 0; i < limiters.size(); ++i)
    if (limiters[i].is_quota() ? i != quotas || !all : i == last && (!all || quotas < limiters.size()))
      asked.decisions[i] = limiters[i].peek(asked.keys[i], loop, asked.cost);
}

bool LimitSet::is_unknown(const Asked& asked) {
  // A rate that refuses does so whatever the quota says.
  const LimitDecision* refused = asked.allowed ? nullptr : refusal_of(asked);
  return refused && refused->unknown;
}

io::Task<> LimitSet::wait(Exchange& exchange, Asked& asked) {
  const SharedLimits* shared = asked.set->shared_.get();
  if (!shared) {
    co_await wait_here(exchange, asked);
    co_return;
  }
  auto outcome = co_await shared->ask(exchange, shared->caller(asked.key), asked.decisions, asked.cost);
  asked.set->conclude(asked, outcome);
  if (outcome != SharedLimits::Outcome::kFailed) co_return;
  switch (shared->on_failure()) {
    case config::StoreFailure::kAllow:
      asked.failed = asked.allowed = true;
      co_return;
    case config::StoreFailure::kDeny:
      asked.failed = true;
      co_return;
    case config::StoreFailure::kLocal:
      asked.set->find_keys(exchange, asked);
      take(asked, exchange.loop());
      if (is_unknown(asked)) co_await wait_here(exchange, asked);
  }
}

/// For what of a quota must be made durable first.
io::Task<> LimitSet::wait_here(Exchange& exchange, Asked& asked) {
  const std::vector<Limiter>& limiters = asked.set->limiters_;
  io::CancelToken& token = exchange.server.token;
  for (int writes = 0; writes < kMostWrites && !token.cancelled(); ++writes) {
    for (size_t i = 0; i < limiters.size(); ++i)
      if (asked.decisions[i].unknown)
        co_await limiters[i].await_more(asked.keys[i], exchange.loop(), asked.cost, token);
    take(asked, exchange.loop());
    if (!is_unknown(asked)) co_return;
  }
}

void LimitSet::charge(Exchange& exchange, const Asked& asked, uint32_t more) {
  const std::vector<Limiter>& limiters = asked.set->limiters_;
  if (const SharedLimits* shared = asked.set->shared_.get())
    return shared->charge(exchange, shared->caller(asked.key), more);
  for (size_t i = 0; i < limiters.size(); ++i) limiters[i].charge(asked.keys[i], exchange.loop(), more);
}

gateway::Step LimitSet::refuse(Exchange& exchange, const Asked& asked) {
  if (asked.failed) return exchange.refuse(kUnavailable);
  const LimitDecision* refused = refusal_of(asked);
  // A store may refuse and have no limit that does.
  if (!refused) refused = &asked.decisions.front();
  const Limiter& limiter = asked.set->limiters_[static_cast<size_t>(refused - asked.decisions.data())];
  gateway::Step step = exchange.refuse(limiter.is_quota() ? kUsedUp : kTooMany);
  uint64_t seconds = std::max<uint64_t>(1, whole_seconds(refused->retry_after));
  exchange.response.fields.add(http::FieldName::kRetryAfter, number_text(seconds, exchange.arena));
  return step;
}

void LimitSet::tell(Exchange& exchange, const Asked& asked, bool legacy) {
  if (asked.failed) return;
  const std::vector<Limiter>& limiters = asked.set->limiters_;
  Arena& arena = exchange.arena;
  size_t most = 0;
  size_t least = 0;
  for (const Limiter& limiter : limiters) most += limiter.longest_item() + 2;
  char* policy = arena.allocate_chars(most);
  char* items = arena.allocate_chars(most);
  char* policy_end = policy;
  char* items_end = items;
  for (size_t i = 0; i < limiters.size(); ++i) {
    if (i > 0) {
      for (char** end : {&policy_end, &items_end}) {
        *(*end)++ = ',';
        *(*end)++ = ' ';
      }
    }
    policy_end = limiters[i].write_policy(policy_end, exchange.loop());
    items_end = limiters[i].write_item(items_end, asked.decisions[i]);
    if (asked.decisions[i].remaining < asked.decisions[least].remaining) least = i;
  }
  http::Fields& fields = exchange.response.fields;
  fields.add(http::FieldName::kRateLimitPolicy, {policy, policy_end});
  fields.add(http::FieldName::kRateLimit, {items, items_end});
  if (!legacy) return;
  const LimitDecision& told = asked.decisions[least];
  fields.add("X-RateLimit-Limit", number_text(limiters[least].count(), arena));
  fields.add("X-RateLimit-Remaining", number_text(told.remaining, arena));
  fields.add("X-RateLimit-Reset", number_text(whole_seconds(told.reset_after), arena));
}

}  // namespace sluice::policies
