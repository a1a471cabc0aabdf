#include "gateway/balance/target_view.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <tuple>

#include "base/hash.h"

namespace sluice::gateway {

namespace {

/// What shares are given in where weights are no longer whole: fine enough for a thousandth.
constexpr double kWhole = 10'000;
/// The least part of its share that a target begins its slow start with.
constexpr double kFirstShare = 0.1;

struct Level {
  double total = 0;
  double healthy = 0;
  double used = 0;  // of those that are healthy
  double share = 0;
};

double growth(const TargetShare& target, const ShareRules& rules, Instant now, bool& growing) {
  if (rules.slow_start <= Duration::zero() || target.healthy_since == Instant{}) return 1;
  Duration age = now - target.healthy_since;
  if (age >= rules.slow_start) return 1;
  growing = true;
  double part = static_cast<double>(age.count()) / static_cast<double>(rules.slow_start.count());
  return std::max(kFirstShare, part);
}

/// The nearer targets of a priority come before the farther ones.
uint32_t level_of(const TargetShare& target) { return target.priority * 2 + (target.near ? 0 : 1); }

/// How much of the requests each level takes.
void share_out(std::map<uint32_t, Level>& levels) {
  double left = 1;
  double capacity = 0;
  for (auto& [number, level] : levels) {
    double carries = level.total > 0 ? std::min(1.0, kOverprovision * level.healthy / level.total) : 0;
    capacity += carries;
    level.share = std::min(left, carries);
    left -= level.share;
  }
  // All together cannot carry it: it is theirs all the same, in the same proportion.
  if (left <= 0 || capacity <= 0) return;
  for (auto& [number, level] : levels) level.share /= 1 - left;
}

/// Of each level so many that take requests, with the lowest ranks: over many gateways, whose ranks differ,
/// about as many have each target (rendezvous hashing: Thaler and Ravishankar). One that goes makes room for
/// the next in rank and moves nobody else. `wanted` gets all as far as the last one.
std::vector<bool> choose_subset(std::span<const TargetShare> targets, const std::vector<bool>& takes,
                                size_t subset, std::vector<bool>& wanted) {
  std::vector<size_t> order;
  for (size_t i = 0; i < targets.size(); ++i)
    if (targets[i].weight > 0) order.push_back(i);
  std::ranges::sort(
      order, {}, [&](size_t i) { return std::tuple(level_of(targets[i]), targets[i].rank, targets[i].key); });
  std::vector<bool> used(targets.size(), false);
  std::map<uint32_t, size_t> taken;  // by level
  for (size_t i : order) {
    size_t& of_level = taken[level_of(targets[i])];
    if (of_level == subset) continue;
    wanted[i] = true;
    used[i] = takes[i];
    of_level += takes[i];
  }
  return used;
}

}  // namespace

std::unique_ptr<TargetView> make_view(std::span<const TargetShare> targets, const ShareRules& rules,
                                      Instant now) {
  auto view = std::make_unique<TargetView>();
  size_t eligible = 0;
  size_t healthy = 0;
  for (const TargetShare& target : targets) {
    eligible += target.weight > 0;
    healthy += target.weight > 0 && target.healthy;
  }
  view->panic = static_cast<double>(healthy) < rules.panic * static_cast<double>(eligible);
  std::vector<bool> takes(targets.size());
  for (size_t i = 0; i < targets.size(); ++i)
    takes[i] = targets[i].weight > 0 && (targets[i].healthy || view->panic);
  view->wanted.assign(targets.size(), rules.subset == 0);
  std::vector<bool> used =
      rules.subset == 0 ? takes : choose_subset(targets, takes, rules.subset, view->wanted);

  std::map<uint32_t, Level> levels;
  for (size_t i = 0; i < targets.size(); ++i) {
    if (targets[i].weight == 0) continue;
    Level& level = levels[level_of(targets[i])];
    level.total += targets[i].weight;
    if (takes[i]) level.healthy += targets[i].weight;
    if (used[i]) level.used += targets[i].weight;
  }
  share_out(levels);

  std::vector<double> shares(targets.size(), 0);
  size_t used_levels = 0;
  for (const auto& [number, level] : levels) used_levels += level.share > 0;
  for (size_t i = 0; i < targets.size(); ++i) {
    const TargetShare& target = targets[i];
    const Level& level = levels[level_of(target)];
    if (!used[i] || level.share <= 0) continue;
    shares[i] = target.weight * growth(target, rules, now, view->growing);
    if (used_levels > 1) shares[i] *= level.share / level.used;
  }

  // Whole weights stay as they are: their round is short and exact.
  bool whole = used_levels <= 1 && !view->growing;
  double most = 0;
  for (double share : shares) most = std::max(most, share);
  std::vector<uint32_t> weights(targets.size(), 0);
  for (size_t i = 0; i < targets.size(); ++i) {
    if (shares[i] <= 0) continue;
    double scaled = whole ? shares[i] : std::round(shares[i] / most * kWhole);
    weights[i] = std::max(1u, static_cast<uint32_t>(scaled));
    view->members.push_back({static_cast<uint16_t>(i), weights[i]});
  }
  view->schedule = smooth_schedule(weights);
  if (!rules.hashed || view->schedule.empty()) return view;
  std::vector<uint64_t> keys;
  for (const TargetShare& target : targets) keys.push_back(target.key);
  view->table = maglev_table(keys, weights);
  return view;
}

std::vector<uint16_t> smooth_schedule(std::span<const uint32_t> given) {
  uint64_t divisor = 0;
  uint64_t total = 0;
  for (uint32_t weight : given) {
    divisor = std::gcd(divisor, uint64_t{weight});
    total += weight;
  }
  if (total == 0) return {};
  std::vector<int64_t> weights;
  for (uint32_t each : given) {
    uint64_t weight = each / divisor;
    if (total / divisor > kMaxRound && weight) weight = std::max<uint64_t>(1, each * kMaxRound / total);
    weights.push_back(static_cast<int64_t>(weight));
  }
  int64_t round = std::accumulate(weights.begin(), weights.end(), int64_t{0});
  std::vector<int64_t> current(weights.size(), 0);
  std::vector<uint16_t> schedule;
  for (int64_t turn = 0; turn < round; ++turn) {
    for (size_t i = 0; i < weights.size(); ++i) current[i] += weights[i];
    auto best = std::max_element(current.begin(), current.end());
    *best -= round;
    schedule.push_back(static_cast<uint16_t>(best - current.begin()));
  }
  return schedule;
}

std::vector<uint16_t> maglev_table(std::span<const uint64_t> keys, std::span<const uint32_t> weights) {
  constexpr uint16_t kFree = 0xffff;
  struct Walk {
    uint64_t at;
    uint64_t skip;
    double owed = 0;  // places, by weight
  };
  std::vector<Walk> walks;
  double most = 0;
  for (size_t i = 0; i < keys.size(); ++i) {
    uint64_t first = mix64(keys[i]);
    walks.push_back({first % kMaglevSize, mix64(first) % (kMaglevSize - 1) + 1});
    most = std::max(most, static_cast<double>(weights[i]));
  }
  std::vector<uint16_t> table(kMaglevSize, kFree);
  for (size_t filled = 0; filled < kMaglevSize;) {
    for (size_t i = 0; i < walks.size() && filled < kMaglevSize; ++i) {
      Walk& walk = walks[i];
      walk.owed += weights[i] / most;
      if (walk.owed < 1) continue;
      walk.owed -= 1;
      while (table[walk.at] != kFree) walk.at = (walk.at + walk.skip) % kMaglevSize;
      table[walk.at] = static_cast<uint16_t>(i);
      ++filled;
    }
  }
  return table;
}

}  // namespace sluice::gateway
