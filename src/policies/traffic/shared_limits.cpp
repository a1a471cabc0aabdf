#include "policies/traffic/shared_limits.h"

#include <fmt/format.h>

#include "base/hash.h"
#include "gateway/worker.h"
#include "store/keyed_hasher.h"

namespace sluice::policies {

namespace {

using gateway::Exchange;
using gateway::SharedDecision;
using gateway::SharedKey;
using gateway::SharedRule;
using LeaseOutcome = store::LeaseTable::Taken::Outcome;

/// A lease may be spent by others before it is looked at.
constexpr int kMostLooks = 3;

SharedRule rule_of(const config::Limit& limit) {
  if (limit.quota) return {.kind = SharedRule::Kind::kQuota, .count = limit.quota->count};
  SharedRule rule{.count = limit.rate->count, .period = limit.rate->period};
  rule.burst = limit.burst.value_or(rule.count);
  if (limit.algorithm == config::RateAlgorithm::kFixedWindow) rule.kind = SharedRule::Kind::kFixedWindow;
  if (limit.algorithm == config::RateAlgorithm::kSlidingWindow) rule.kind = SharedRule::Kind::kSlidingWindow;
  return rule;
}

LimitDecision decision_of(const SharedDecision& from) {
  LimitDecision decision;
  decision.allowed = from.taken > 0 || from.retry_after == Duration::zero();
  decision.remaining = from.remaining;
  decision.reset_after = from.reset_after;
  decision.retry_after = from.retry_after;
  return decision;
}

}  // namespace

SharedLimits::SharedLimits(gateway::Services& services, std::shared_ptr<const gateway::RedisStore> store,
                           const config::Sharing& sharing, std::span<const config::Limit> limits,
                           std::string_view identity, std::string_view rates_of)
    : services_(services), store_(std::move(store)), sharing_(sharing), identity_(hash64(identity)) {
  for (size_t i = 0; i < limits.size(); ++i) {
    Shared& shared = limits_.emplace_back();
    shared.rule = rule_of(limits[i]);
    if (const auto& quota = limits[i].quota) {
      // Not its count: who gets a larger quota keeps what it has used.
      shared.identity = hash64(fmt::format("{} {}", config::unit_text(quota->unit), limits[i].timezone));
      shared.calendar = std::make_unique<Calendar>(quota->unit, limits[i].timezone);
    } else {
      const SharedRule& rule = shared.rule;
      shared.identity = hash64(fmt::format("{} {} {} {} {} {}", rates_of, i, static_cast<char>(rule.kind),
                                           rule.count, rule.period.count(), rule.burst));
    }
  }
}

SharedLimits::Caller SharedLimits::caller(std::string_view key) const {
  // The same on every node, and part of it may be chosen by a client: a digest that nobody can make collide.
  static constexpr std::array<std::byte, store::KeyedHasher::kKeyBytes> kNoSecret{};
  static const store::KeyedHasher hasher(kNoSecret);
  store::Digest digest = hasher(key);
  return {digest.words[0] ^ identity_, digest.words[1] ^ mix64(identity_)};
}

store::CounterKey SharedLimits::lease_key(const Caller& caller, const Shared& limit) {
  return {caller.high ^ limit.identity, caller.low ^ mix64(limit.identity)};
}

/// The tag in braces is the same for all limits of a caller: one slot of a cluster has them.
SharedKey SharedLimits::key(const Caller& caller, const Shared& limit, const io::Loop& loop) const {
  SharedKey key{.name =
                    fmt::format("sluice:{{{:016x}{:016x}}}:{:x}", caller.high, caller.low, limit.identity)};
  if (limit.calendar) {
    auto end = limit.calendar->at(loop.wall_now()).end.time_since_epoch();
    key.period_end = std::chrono::duration_cast<std::chrono::seconds>(end).count();
  }
  return key;
}

SharedLimits::Outcome SharedLimits::spend(Exchange& exchange, const Caller& caller,
                                          std::span<LimitDecision> decisions, uint32_t cost) const {
  Outcome outcome = Outcome::kAllowed;
  size_t taken = 0;
  for (; taken < limits_.size(); ++taken) {
    const Shared& limit = limits_[taken];
    store::LeaseTable::Taken lease =
        services_.leases.take(lease_key(caller, limit), cost, limit.most(), exchange.now());
    bool refused = lease.outcome == LeaseOutcome::kRefused;
    bool unknown = lease.outcome == LeaseOutcome::kUnknown;
    if (lease.borrow > 0 && !unknown)
      exchange.worker.scope().spawn(borrow_ahead(exchange.worker, taken, caller, lease.borrow));
    LimitDecision& decision = decisions[taken];
    decision.allowed = lease.outcome == LeaseOutcome::kTaken;
    decision.unknown = unknown;
    decision.borrow = std::max<uint64_t>(lease.borrow, cost);
    decision.remaining = lease.remaining;
    decision.reset_after = lease.reset_after;
    decision.retry_after = lease.retry_after;
    if (!refused && !unknown) continue;
    outcome = refused ? Outcome::kRefused : Outcome::kUnknown;
    break;
  }
  if (outcome == Outcome::kAllowed) return outcome;
  for (size_t i = 0; i < taken; ++i) services_.leases.give_back(lease_key(caller, limits_[i]), cost);
  // Those that were not looked at are told as they were last.
  for (size_t i = taken + 1; i < limits_.size(); ++i) decisions[i] = LimitDecision{{true, 0, {}, {}}};
  return outcome;
}

io::Task<SharedLimits::Outcome> SharedLimits::ask(Exchange& exchange, Caller caller,
                                                  std::span<LimitDecision> decisions, uint32_t cost) const {
  gateway::Worker& worker = exchange.worker;
  io::CancelToken& token = exchange.server.token;
  if (!leases()) {
    std::vector<SharedRule> rules;
    std::vector<SharedKey> keys;
    for (const Shared& limit : limits_) {
      rules.push_back(limit.rule);
      keys.push_back(key(caller, limit, worker.loop()));
    }
    std::vector<SharedDecision> decided;
    bool answered = co_await run(worker, rules, keys, cost, false, token, decided);
    if (!answered) co_return Outcome::kFailed;
    bool allowed = true;
    for (size_t i = 0; i < decided.size(); ++i) {
      decisions[i] = decision_of(decided[i]);
      allowed = allowed && decided[i].taken > 0;
    }
    co_return allowed ? Outcome::kAllowed : Outcome::kRefused;
  }
  for (int looks = 0; looks < kMostLooks; ++looks) {
    for (size_t i = 0; i < limits_.size(); ++i) {
      if (!decisions[i].unknown) continue;
      bool borrowed = co_await borrow(worker, i, caller, decisions[i].borrow, token);
      if (!borrowed) co_return Outcome::kFailed;
    }
    Outcome outcome = spend(exchange, caller, decisions, cost);
    if (outcome != Outcome::kUnknown) co_return outcome;
  }
  co_return Outcome::kRefused;
}

/// False: the store did not answer.
io::Task<bool> SharedLimits::run(gateway::Worker& worker, std::span<const SharedRule> rules,
                                 std::span<const SharedKey> keys, uint64_t amount, bool as_much_as_there_is,
                                 io::CancelToken& token, std::vector<SharedDecision>& decisions) const {
  gateway::RedisClient& client = worker.redis(store_);
  for (bool whole : {false, true}) {
    std::string command = gateway::limit_command(rules, keys, amount, as_much_as_there_is, whole);
    auto answer = co_await client.ask(keys[0].name, std::move(command), token);
    if (!answer) co_return false;
    if (!whole && gateway::is_unknown_script(*answer)) continue;
    auto decided = gateway::read_decisions(*answer, rules.size());
    if (decided) decisions = std::move(*decided);
    co_return decided.has_value();
  }
  co_return false;
}

io::Task<bool> SharedLimits::borrow(gateway::Worker& worker, size_t number, Caller caller, uint64_t amount,
                                    io::CancelToken& token) const {
  const Shared& limit = limits_[number];
  SharedRule rules[] = {limit.rule};
  SharedKey keys[] = {key(caller, limit, worker.loop())};
  std::vector<SharedDecision> decided;
  bool answered = co_await run(worker, rules, keys, amount, true, token, decided);
  store::CounterKey lease = lease_key(caller, limit);
  if (!answered) {
    services_.leases.not_borrowed(lease);
    co_return false;
  }
  services_.leases.borrowed(lease,
                            {.amount = decided[0].taken,
                             .remaining = decided[0].remaining,
                             .reset_after = decided[0].reset_after,
                             .retry_after = decided[0].retry_after},
                            worker.loop().now());
  co_return true;
}

void SharedLimits::charge(Exchange& exchange, const Caller& caller, uint32_t more) const {
  exchange.worker.scope().spawn(charge_beside(exchange.worker, caller, more));
}

io::Task<> SharedLimits::charge_beside(gateway::Worker& worker, Caller caller, uint64_t more) const {
  std::shared_ptr<const SharedLimits> self = shared_from_this();
  io::CancelToken token;  // the store's timeout ends it
  std::vector<SharedDecision> decided;
  for (const Shared& limit : limits_) {
    SharedRule rules[] = {limit.rule};
    SharedKey keys[] = {key(caller, limit, worker.loop())};
    bool answered = co_await run(worker, rules, keys, more, true, token, decided);
    if (!answered) co_return;
  }
}

io::Task<> SharedLimits::borrow_ahead(gateway::Worker& worker, size_t number, Caller caller,
                                      uint64_t amount) const {
  std::shared_ptr<const SharedLimits> self = shared_from_this();
  io::CancelToken token;  // the store's timeout ends it
  co_await borrow(worker, number, caller, amount, token);
}

}  // namespace sluice::policies
