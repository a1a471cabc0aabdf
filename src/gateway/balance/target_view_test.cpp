#include "gateway/balance/target_view.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "base/hash.h"

namespace sluice::gateway {
namespace {

using namespace std::chrono_literals;

const Instant kNow = Instant{} + 1h;

std::vector<TargetShare> weighted(const std::vector<uint32_t>& weights) {
  std::vector<TargetShare> targets;
  for (uint32_t weight : weights) {
    targets.push_back({});
    targets.back().weight = weight;
    targets.back().key = mix64(targets.size());
  }
  return targets;
}

/// How often each target is in a round, for a hundred turns.
std::vector<int> shares(const TargetView& view, size_t targets) {
  std::vector<int> out;
  for (uint16_t i = 0; i < targets; ++i)
    out.push_back(
        static_cast<int>(std::lround(100.0 * static_cast<double>(std::ranges::count(view.schedule, i)) /
                                     static_cast<double>(view.schedule.size()))));
  return out;
}

TEST(TargetView, TheUnhealthyGetNothingAndTheOthersShareByWeight) {
  auto targets = weighted({1, 2, 1});
  targets[1].healthy = false;
  auto view = make_view(targets, {}, kNow);
  EXPECT_EQ(view->schedule, (std::vector<uint16_t>{0, 2}));
  EXPECT_EQ(view->members.size(), 2u);
}

TEST(TargetView, IsEmptyWhenNobodyIsHealthy) {
  auto targets = weighted({1, 1});
  for (auto& target : targets) target.healthy = false;
  EXPECT_TRUE(make_view(targets, {}, kNow)->schedule.empty());
  EXPECT_TRUE(make_view({}, {}, kNow)->schedule.empty());
  EXPECT_TRUE(make_view(weighted({0}), {}, kNow)->schedule.empty());
}

TEST(TargetView, InPanicAllAreTakenButThoseWithoutAWeight) {
  auto targets = weighted({1, 1, 1, 0});
  targets[0].healthy = targets[1].healthy = false;
  auto calm = make_view(targets, {.panic = 0.3}, kNow);
  EXPECT_FALSE(calm->panic);
  EXPECT_EQ(calm->schedule, (std::vector<uint16_t>{2}));
  auto panic = make_view(targets, {.panic = 0.5}, kNow);
  EXPECT_TRUE(panic->panic);
  EXPECT_EQ(panic->members.size(), 3u);
}

// Envoy, "Priority levels": with an overprovisioning factor of 1.4 a level takes all while 72 % of it are
// healthy, and what it cannot take goes to the next; the figures are those of its table.
TEST(TargetView, WhatAPriorityCannotCarryFlowsOver) {
  struct Case {
    int healthy_first;  // of 100
    int healthy_second;
    int first;  // percent
    int second;
  };
  for (const Case& each :
       {Case{100, 100, 100, 0}, Case{72, 100, 100, 0}, Case{71, 100, 99, 1}, Case{50, 100, 70, 30},
        Case{25, 100, 35, 65}, Case{25, 25, 50, 50}, Case{0, 100, 0, 100}}) {
    std::vector<TargetShare> targets = weighted(std::vector<uint32_t>(200, 1));
    for (int i = 0; i < 200; ++i) {
      targets[static_cast<size_t>(i)].priority = i < 100 ? 0 : 1;
      targets[static_cast<size_t>(i)].healthy =
          i < 100 ? i < each.healthy_first : i - 100 < each.healthy_second;
    }
    auto view = make_view(targets, {}, kNow);
    int first = 0;
    for (uint16_t target : view->schedule) first += target < 100;
    double share = 100.0 * first / static_cast<double>(view->schedule.size());
    EXPECT_NEAR(share, each.first, 1.5) << each.healthy_first << " " << each.healthy_second;
  }
}

TEST(TargetView, NearTargetsComeFirstAndFarOnesTakeWhatIsTooMuch) {
  auto targets = weighted({1, 1, 1, 1});
  targets[2].near = targets[3].near = false;
  EXPECT_EQ(shares(*make_view(targets, {}, kNow), 4), (std::vector<int>{50, 50, 0, 0}));
  targets[0].healthy = false;
  EXPECT_EQ(shares(*make_view(targets, {}, kNow), 4), (std::vector<int>{0, 70, 15, 15}));
}

TEST(TargetView, ATargetThatHasBecomeHealthyGrowsIntoItsShare) {
  auto targets = weighted({1, 1});
  targets[1].healthy_since = kNow;
  ShareRules rules{.panic = 0, .slow_start = 10s, .hashed = false};
  auto at = [&](Duration later) {
    auto view = make_view(targets, rules, kNow + later);
    return std::pair(shares(*view, 2)[1], view->growing);
  };
  EXPECT_EQ(at(0s), std::pair(9, true)) << "a tenth of its weight at first";
  EXPECT_EQ(at(5s), std::pair(33, true));
  EXPECT_EQ(at(10s), std::pair(50, false));
}

/// Targets of equal weight, with the ranks that they have for a gateway.
std::vector<TargetShare> ranked(size_t count, uint64_t node) {
  std::vector<TargetShare> targets = weighted(std::vector<uint32_t>(count, 1));
  for (TargetShare& target : targets) target.rank = mix64(target.key ^ mix64(node));
  return targets;
}
std::vector<uint16_t> used(const TargetView& view) {
  std::vector<uint16_t> out;
  for (const TargetView::Member& member : view.members) out.push_back(member.target);
  return out;
}

// Rendezvous hashing: of 200 gateways with 10 of 50 targets each, a target has about 40, with the spread of
// chance (a standard deviation of 5.7).
TEST(TargetSubset, OverManyGatewaysTargetsAreUsedAlike) {
  std::vector<int> gateways(50, 0);
  for (uint64_t node = 0; node < 200; ++node) {
    auto view = make_view(ranked(50, node), {.subset = 10}, kNow);
    EXPECT_EQ(view->members.size(), 10u);
    EXPECT_EQ(used(*view), used(*make_view(ranked(50, node), {.subset = 10}, kNow))) << "always the same";
    for (uint16_t target : used(*view)) ++gateways[target];
  }
  EXPECT_GT(std::ranges::min(gateways), 20);
  EXPECT_LT(std::ranges::max(gateways), 60);
}

TEST(TargetSubset, ATargetThatGoesOrComesMovesOneAtMost) {
  for (uint64_t node = 0; node < 50; ++node) {
    std::vector<TargetShare> targets = ranked(50, node);
    auto before = used(*make_view(targets, {.subset = 10}, kNow));
    for (TargetShare& target : targets) {
      target.weight = 0;  // gone
      std::vector<uint16_t> gone;
      std::ranges::set_difference(before, used(*make_view(targets, {.subset = 10}, kNow)),
                                  std::back_inserter(gone));
      EXPECT_LE(gone.size(), 1u);
      target.weight = 1;
    }
  }
}

TEST(TargetSubset, OthersTakeThePlacesOfThoseThatAreNotHealthy) {
  std::vector<TargetShare> targets = ranked(6, 1);
  auto before = used(*make_view(targets, {.subset = 2}, kNow));
  for (uint16_t target : before) targets[target].healthy = false;
  auto view = make_view(targets, {.subset = 2}, kNow);
  EXPECT_EQ(view->members.size(), 2u);
  for (uint16_t target : before) {
    EXPECT_FALSE(view->uses(target));
    EXPECT_TRUE(view->wanted[target]) << "its return is waited for";
  }
  EXPECT_EQ(std::ranges::count(view->wanted, true), 4);
  for (TargetShare& target : targets) target.healthy = false;
  EXPECT_TRUE(make_view(targets, {.subset = 2}, kNow)->members.empty());
}

TEST(TargetSubset, EachPriorityHasItsOwn) {
  std::vector<TargetShare> targets = ranked(8, 1);
  for (size_t i = 4; i < 8; ++i) targets[i].priority = 1;
  EXPECT_EQ(make_view(targets, {.subset = 2}, kNow)->members.size(), 2u);
  // Half of the first priority carries 70 % (1.4 times its share); the rest goes to two of the next.
  targets[0].healthy = targets[1].healthy = false;
  auto view = make_view(targets, {.subset = 2}, kNow);
  auto shared = shares(*view, 8);
  EXPECT_EQ(shared[2] + shared[3], 70);
  EXPECT_EQ(view->members.size(), 4u);
}

TEST(TargetSubset, ThatIsLargerThanAllIsAll) {
  auto view = make_view(ranked(3, 1), {.subset = 10}, kNow);
  EXPECT_EQ(view->schedule, (std::vector<uint16_t>{0, 1, 2}));
}

// Maglev, section 3.4 and 5.3: places by weight within a percent, and few change when a target goes.
TEST(MaglevTable, SharesPlacesByWeightAndKeepsMostOfThem) {
  std::vector<uint64_t> keys;
  for (uint64_t i = 0; i < 5; ++i) keys.push_back(hash64("10.0.0." + std::to_string(i)));
  std::vector<uint32_t> weights{1, 1, 2, 1, 1};
  auto full = maglev_table(keys, weights);
  ASSERT_EQ(full.size(), kMaglevSize);
  for (uint16_t i = 0; i < 5; ++i) {
    double share = static_cast<double>(std::ranges::count(full, i)) / static_cast<double>(full.size());
    EXPECT_NEAR(share, weights[i] / 6.0, 0.01);
  }
  weights[3] = 0;
  auto without = maglev_table(keys, weights);
  EXPECT_EQ(std::ranges::count(without, 3), 0);
  size_t moved = 0;
  for (size_t i = 0; i < full.size(); ++i) moved += full[i] != 3 && full[i] != without[i];
  EXPECT_LT(moved, full.size() / 20) << "of those that were not on the one that went";
}

}  // namespace
}  // namespace sluice::gateway
