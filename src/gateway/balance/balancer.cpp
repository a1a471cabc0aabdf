#include "gateway/balance/balancer.h"

#include <cmath>

namespace sluice::gateway {

using config::BalanceAlgorithm;

namespace {

bool tried(const BalanceRequest& request, uint16_t target) {
  return request.tried && request.tried->has(target);
}

}  // namespace

Balancer::Balancer(const config::Balance& configured)
    : algorithm_(configured.chosen()),
      hash_(configured.hash),
      counts_(algorithm_ == BalanceAlgorithm::kLeastRequests || algorithm_ == BalanceAlgorithm::kP2c ||
              algorithm_ == BalanceAlgorithm::kPeakEwma || (hash_ && hash_->bounded_load)) {}

std::optional<uint16_t> Balancer::choose(const TargetView& now, const BalanceRequest& request) const {
  if (now.schedule.empty()) return std::nullopt;
  if (now.members.size() == 1) return now.members.front().target;
  if (request.preferred && !tried(request, *request.preferred))
    for (const TargetView::Member& member : now.members)
      if (member.target == *request.preferred) return member.target;
  switch (algorithm_) {
    case BalanceAlgorithm::kRoundRobin:
      return in_turn(now, request);
    case BalanceAlgorithm::kLeastRequests:
      return least_requests(now, request);
    case BalanceAlgorithm::kRandom:
      return at_random(now, request);
    case BalanceAlgorithm::kP2c:
    case BalanceAlgorithm::kPeakEwma:
      return better_of_two(now, request);
    case BalanceAlgorithm::kHash:
      return request.hash ? by_hash(now, request) : at_random(now, request);
  }
  return std::nullopt;
}

/// Exact over the whole process, whichever workers ask.
uint16_t Balancer::in_turn(const TargetView& view, const BalanceRequest& request) const {
  for (size_t seen = 0;; ++seen) {
    uint64_t turn = turn_.fetch_add(1, std::memory_order_relaxed);
    uint16_t next = view.schedule[turn % view.schedule.size()];
    if (!tried(request, next) || seen == view.schedule.size()) return next;
  }
}

uint16_t Balancer::at_random(const TargetView& view, const BalanceRequest& request) const {
  size_t first = request.random.below(view.schedule.size());
  // Those that were tried give their turns to the ones behind them.
  for (size_t i = 0; i < view.schedule.size(); ++i) {
    uint16_t next = view.schedule[(first + i) % view.schedule.size()];
    if (!tried(request, next)) return next;
  }
  return view.schedule[first];
}

uint16_t Balancer::least_requests(const TargetView& view, const BalanceRequest& request) const {
  // Of several that are equal, each in its turn.
  size_t first = turn_.fetch_add(1, std::memory_order_relaxed);
  const TargetView::Member* best = nullptr;
  uint64_t best_requests = 0;
  for (size_t i = 0; i < view.members.size(); ++i) {
    const TargetView::Member& member = view.members[(first + i) % view.members.size()];
    if (tried(request, member.target)) continue;
    uint64_t requests = uint64_t{view.loads[member.target]->requests()} + 1;
    if (best && requests * best->weight >= best_requests * member.weight) continue;
    best = &member;
    best_requests = requests;
  }
  return best ? best->target : view.members[first % view.members.size()].target;
}

double Balancer::cost(const TargetLoad& load, Instant now) const {
  double requests = load.requests();
  if (!measures()) return requests;
  double latency = load.latency(now);
  // One that has not answered yet gets one request to show itself, no crowd.
  if (latency == 0) return requests == 0 ? 0 : std::numeric_limits<double>::max() / 2 * requests;
  return latency * (requests + 1);
}

/// Weights count by how often a target is drawn (Mitzenmacher: the power of two choices).
uint16_t Balancer::better_of_two(const TargetView& view, const BalanceRequest& request) const {
  uint16_t one = at_random(view, request);
  constexpr int kDraws = 4;  // for another one
  uint16_t other = one;
  for (int i = 0; i < kDraws && other == one; ++i) other = at_random(view, request);
  return cost(*view.loads[other], request.now) < cost(*view.loads[one], request.now) ? other : one;
}

/// Consistent hashing with bounded loads (Mirrokni, Thorup, Zadimoghaddam): how many a target of weight one
/// may have.
uint64_t Balancer::places_for(const TargetView& view) const {
  uint64_t requests = 1;
  uint64_t weights = 0;
  for (const TargetView::Member& member : view.members) {
    requests += view.loads[member.target]->requests();
    weights += member.weight;
  }
  double average = static_cast<double>(requests) / static_cast<double>(weights);
  return static_cast<uint64_t>(std::ceil(average * hash_->bounded_load->share));
}

uint16_t Balancer::by_hash(const TargetView& view, const BalanceRequest& request) const {
  size_t place = *request.hash % view.table.size();
  if (!hash_->bounded_load && !request.tried) return view.table[place];
  uint64_t places = hash_->bounded_load ? places_for(view) : 0;
  uint16_t least = view.table[place];
  TriedTargets full;
  // The table has every target within a few places: the walk is short.
  for (size_t i = 0; i < view.table.size() && full.size() < TriedTargets::kMost; ++i) {
    uint16_t next = view.table[(place + i) % view.table.size()];
    if (full.has(next)) continue;
    if (!tried(request, next)) {
      if (places == 0) return next;
      uint64_t weight = 1;
      for (const TargetView::Member& member : view.members)
        if (member.target == next) weight = member.weight;
      if (view.loads[next]->requests() < places * weight) return next;
    }
    full.add(next);
  }
  return least;
}

}  // namespace sluice::gateway
