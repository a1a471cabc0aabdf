#include "traffic_pool.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace sluice::sim {

namespace {

/// What is seen at one place is seen so much later at another.
constexpr Duration kBlink = std::chrono::milliseconds(5);
/// A place that is free is found by who waits for it much sooner.
constexpr Duration kFound = std::chrono::milliseconds(300);
/// Last calls of a world where nothing is bounded.
constexpr size_t kSome = 6;

constexpr std::string_view kBalances[] = {"round_robin", "least_requests", "random", "p2c", "peak_ewma"};

}  // namespace

TrafficPool TrafficPool::draw(Random& random) {
  auto chance = [&](uint64_t one_in) { return random.below(one_in) == 0; };
  TrafficPool pool;
  size_t count = 2 + random.below(3);
  bool ranked = chance(3);
  for (size_t i = 0; i < count; ++i)
    pool.targets.push_back({.weight = chance(4) && i > 0 ? 0 : 1 + static_cast<uint32_t>(random.below(3)),
                            .priority = ranked && i > 0 ? static_cast<uint32_t>(random.below(2)) : 0});
  pool.balance = static_cast<Balance>(random.below(6));
  pool.sticky = chance(4);
  pool.bounded_load = chance(3);
  if (chance(3)) pool.slow_start = std::chrono::milliseconds(500 + random.below(4000));
  pool.attempts = 1 + static_cast<uint32_t>(random.below(3));
  pool.retry_reset = !chance(4);
  pool.retry_timeout = chance(3);
  pool.retry_503 = chance(2);
  auto bound = [&] { return 1 + static_cast<uint32_t>(random.below(4)); };
  if (chance(3)) pool.max_connections = bound();
  if (chance(3)) pool.max_requests = bound();
  if (chance(3)) pool.max_retries = static_cast<uint32_t>(random.below(3));
  if (chance(2)) pool.max_pending = static_cast<uint32_t>(random.below(5));
  pool.health = TrafficHealth::draw(random);
  return pool;
}

std::string TrafficPool::ip(size_t target) { return fmt::format("10.7.0.{}", target + 1); }

size_t TrafficPool::most_calls() const {
  size_t most = kSome;
  if (max_connections) most = std::min<size_t>(most, *max_connections);
  if (max_requests) most = std::min<size_t>(most, *max_requests);
  return most;
}

std::string TrafficPool::text(int64_t idle_ms) const {
  std::string text = fmt::format("  {}:\n    targets:\n", kApi);
  for (size_t i = 0; i < targets.size(); ++i)
    text += fmt::format("      - {{ url: \"http://{}:{}\", weight: {}, priority: {} }}\n", ip(i), kPort,
                        targets[i].weight, targets[i].priority);
  std::string how =
      fmt::format("algorithm: {}", balance == Balance::kHash ? "" : kBalances[static_cast<size_t>(balance)]);
  if (balance == Balance::kHash)
    how = fmt::format("hash: {{ key: \"header:x-caller\"{} }}", bounded_load ? ", bounded_load: 125%" : "");
  if (sticky) how += ", sticky: { cookie: route }";
  text += fmt::format("    balance: {{ {} }}\n", how);
  if (slow_start > Duration::zero())
    text += fmt::format("    slow_start: {}ms\n",
                        std::chrono::duration_cast<std::chrono::milliseconds>(slow_start).count());
  text += fmt::format("    timeouts: {{ connect: 1s, response_head: 2s, idle: {}ms }}\n", idle_ms);
  text += fmt::format(
      "    retry: {{ attempts: {}, budget: 100%, backoff: 10ms, on: [connect_failure{}{}{}] }}\n", attempts,
      retry_reset ? ", reset" : "", retry_timeout ? ", timeout" : "", retry_503 ? ", 503" : "");
  text += fmt::format("    circuit_breaker: {{ max_pending: {}", max_pending);
  if (max_connections) text += fmt::format(", max_connections: {}", *max_connections);
  if (max_requests) text += fmt::format(", max_requests: {}", *max_requests);
  if (max_retries) text += fmt::format(", max_retries: {}", *max_retries);
  return text + " }\n" + health.text();
}

void PoolCount::connect(Instant now) {
  ++connections_;
  if (most_ && connections_ > most_ && over_since_ == kNever) over_since_ = now;
}

void PoolCount::disconnect(Instant now) {
  --connections_;
  if (connections_ > most_ || over_since_ == kNever) return;
  was_over_ |= now - over_since_ > kBlink;
  over_since_ = kNever;
}

namespace {

class PoolChecker {
 public:
  PoolChecker(const PoolView& view, Violations& violations)
      : view_(view), pool_(view.pool), violations_(violations) {}

  void check() {
    for (const TrafficCall& call : view_.ledger.calls) {
      if (call.api != TrafficPool::kApi) continue;
      check_tries(call);
      if (view_.calm && !call.left && call.outcome == TrafficCall::Outcome::kAnswered) check_end(call);
    }
    // An upstream that pauses sees later that a connection has ended.
    if (view_.behaved && view_.latency == Duration::zero() && view_.count.was_over())
      violations_.add(Invariant::kUndisturbed, "there were more connections than {}", *pool_.max_connections);
    if (!view_.steady) return;
    if (pool_.max_requests && view_.count.most_requests() > *pool_.max_requests)
      violations_.add(Invariant::kUndisturbed, "there were {} requests at once, of {}",
                      view_.count.most_requests(), *pool_.max_requests);
    check_same_target();
    check_turns();
  }

 private:
  using Balance = TrafficPool::Balance;

  static bool is(const TrafficCall& call, std::string_view code) {
    return call.answer.find(fmt::format("\"code\":\"{}\"", code)) != std::string::npos;
  }
  bool bounded() const { return pool_.max_connections || pool_.max_requests; }

  void check_tries(const TrafficCall& call) {
    // One stale connection is forgiven.
    if (call.servings.size() > pool_.attempts + 1)
      violations_.add(Invariant::kAtMostOnce, "exchange {} was tried {} times, of {}", call.number,
                      call.servings.size(), pool_.attempts);
    for (const TrafficServing* serving : call.servings) {
      const TrafficPool::Target& target = pool_.targets[serving->target];
      if (target.weight == 0)
        violations_.add(Invariant::kUndisturbed, "exchange {} came to target {}, whose weight is 0",
                        call.number, serving->target);
      if (view_.steady && target.priority > 0)
        violations_.add(Invariant::kUndisturbed, "exchange {} came to target {} of the second priority",
                        call.number, serving->target);
    }
  }

  void check_end(const TrafficCall& call) {
    if (is(call, "circuit_breaker_open")) return check_refused(call);
    if (call.method != "GET" || call.servings.empty() || view_.troubled) return;
    const TrafficServing& last = *call.servings.back();
    bool retries =
        (last.deed == TrafficDeed::kReset && pool_.retry_reset && is(call, "upstream_reset")) ||
        (last.deed == TrafficDeed::kSilence && pool_.retry_timeout && is(call, "upstream_timeout")) ||
        (last.deed == TrafficDeed::kUnavailable && pool_.retry_503 && call.head.count("x-sim-serving"));
    if (!retries || call.servings.size() >= pool_.attempts || others_retry(call)) return;
    violations_.add(Invariant::kUndisturbed, "exchange {} was not tried again after {} of {} tries",
                    call.number, call.servings.size(), pool_.attempts);
  }

  /// Whether as many others as may be at once may have been trying again.
  bool others_retry(const TrafficCall& call) const {
    if (!pool_.max_retries) return false;
    size_t others = 0;
    for (const TrafficCall& other : view_.ledger.calls)
      others += other.api == call.api && &other != &call && other.servings.size() > 1 &&
                other.begun <= call.ended && call.begun <= other.ended + kBlink + view_.latency * 4;
    return others >= *pool_.max_retries;
  }

  /// By the circuit breaker: there must have been as many others as may be.
  void check_refused(const TrafficCall& call) {
    size_t others = 0;
    for (const TrafficCall& other : view_.ledger.calls)
      others += other.api == call.api && &other != &call && other.begun <= call.ended + kBlink &&
                call.begun <= other.ended + kBlink + view_.latency * 4;
    size_t least = SIZE_MAX;
    if (pool_.max_requests) least = *pool_.max_requests;
    // Idle connections count too; whoever waits gets their places.
    if (pool_.max_connections)
      least = std::min<size_t>(least, pool_.max_pending ? *pool_.max_connections : 0);
    if (!bounded() || others < least)
      violations_.add(Invariant::kUndisturbed, "exchange {} was refused beside {} others", call.number,
                      others);
    bool waited = pool_.max_connections && call.ended - call.begun >= TrafficPool::kConnect;
    if (waited && view_.steady && had_room(call))
      violations_.add(Invariant::kNoEndlessWait,
                      "exchange {} waited in vain for a connection while fewer than {} were in use",
                      call.number, *pool_.max_connections);
  }

  /// Whether there was room among the connections for longer than it takes to find it.
  bool had_room(const TrafficCall& call) const {
    std::vector<std::pair<Instant, int>> changes;
    for (const TrafficServing& serving : view_.ledger.servings) {
      if (serving.call->api != call.api) continue;
      changes.emplace_back(serving.begun - view_.latency * 3, 1);
      changes.emplace_back(std::max(serving.call->ended, serving.begun) + kBlink, -1);
    }
    std::ranges::sort(changes);
    int used = 0;
    Instant from = call.ended - TrafficPool::kConnect;
    Instant since = from;
    for (auto [at, change] : changes) {
      bool room = used < static_cast<int>(*pool_.max_connections);
      if (room && std::min(at, call.ended) - std::max(since, from) > kFound) return true;
      since = at;
      used += change;
    }
    return call.ended - std::max(since, from) > kFound;
  }

  /// The same key, and the same client, come to the same target as long as all are well.
  void check_same_target() {
    bool hashed = pool_.balance == Balance::kHash && !pool_.bounded_load;
    std::map<std::string, size_t> of_caller;
    for (const TrafficServing& serving : view_.ledger.servings) {
      const TrafficCall& call = *serving.call;
      if (call.api != TrafficPool::kApi) continue;
      if (call.sticks_to && *call.sticks_to != serving.target)
        violations_.add(Invariant::kUndisturbed,
                        "exchange {} came to target {} instead of the client's own, {}", call.number,
                        serving.target, *call.sticks_to);
      if (!hashed || pool_.sticky) continue;
      auto [known, is_new] = of_caller.try_emplace(call.caller, serving.target);
      if (known->second != serving.target)
        violations_.add(Invariant::kUndisturbed, "exchange {} of {} came to target {} instead of {}",
                        call.number, call.caller, serving.target, known->second);
    }
  }

  /// Whichever worker asks; a reload may begin the round again.
  void check_turns() {
    if (pool_.balance != Balance::kRoundRobin || pool_.sticky || pool_.max_connections) return;
    size_t all = 0;
    size_t weights = 0;
    std::vector<size_t> got(pool_.targets.size(), 0);
    for (const TrafficServing& serving : view_.ledger.servings) {
      if (serving.call->api != TrafficPool::kApi) continue;
      ++all;
      ++got[serving.target];
    }
    for (const TrafficPool::Target& target : pool_.targets)
      weights += target.priority == 0 ? target.weight : 0;
    for (size_t i = 0; i < got.size(); ++i) {
      if (pool_.targets[i].priority > 0) continue;
      size_t weight = pool_.targets[i].weight;
      size_t rounds = all / weights;
      size_t slack = weight * (view_.reloads + 1);
      if (got[i] + slack < rounds * weight || got[i] > rounds * weight + slack)
        violations_.add(Invariant::kUndisturbed, "target {} got {} of {} requests, with a weight of {} in {}",
                        i, got[i], all, weight, weights);
    }
  }

  const PoolView& view_;
  const TrafficPool& pool_;
  Violations& violations_;
};

}  // namespace

void check_pool(const PoolView& view, Violations& violations) { PoolChecker(view, violations).check(); }

}  // namespace sluice::sim
