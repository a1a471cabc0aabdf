#include "gateway/balance/balancer.h"

#include <gtest/gtest.h>

#include <map>

#include "base/hash.h"

namespace sluice::gateway {
namespace {

using namespace std::chrono_literals;
using config::BalanceAlgorithm;

class BalancerTest : public ::testing::Test {
 protected:
  void make(const config::Balance& balance, const std::vector<uint32_t>& weights) {
    std::vector<TargetShare> shares;
    loads_ = std::vector<TargetLoad>(weights.size());
    for (size_t i = 0; i < weights.size(); ++i) {
      shares.push_back({});
      shares.back().weight = weights[i];
      shares.back().key = mix64(i + 1);
    }
    balancer_.emplace(balance);
    look(make_view(shares, {.panic = 0, .slow_start = {}, .hashed = balance.hash.has_value()}, {}));
  }
  void look(std::unique_ptr<TargetView> view) {
    view_ = std::move(view);
    for (TargetLoad& load : loads_) view_->loads.push_back(&load);
  }
  void make(BalanceAlgorithm algorithm, const std::vector<uint32_t>& weights) {
    make(config::Balance{.algorithm = algorithm, .hash = {}, .sticky = {}}, weights);
  }
  int choose(std::optional<uint64_t> hash = {}, const TriedTargets* tried = nullptr) {
    auto chosen = balancer_->choose(*view_, {.random = random_, .now = now_, .hash = hash, .tried = tried});
    return chosen ? *chosen : -1;
  }
  /// Counts of so many choices.
  std::map<int, int> draw(int count) {
    std::map<int, int> counts;
    for (int i = 0; i < count; ++i) ++counts[choose()];
    return counts;
  }
  static config::Balance hashed(std::optional<double> bound = {}) {
    config::Balance balance;
    balance.hash = config::HashBalance{};
    if (bound) balance.hash->bounded_load = config::Percent{*bound};
    return balance;
  }

  Random random_{7};
  Instant now_ = Instant{} + 1h;
  std::vector<TargetLoad> loads_;
  std::optional<Balancer> balancer_;
  std::unique_ptr<TargetView> view_;
};

TEST_F(BalancerTest, RoundRobinTakesTurnsByWeight) {
  make(BalanceAlgorithm::kRoundRobin, {1, 2});
  std::string turns;
  for (int i = 0; i < 6; ++i) turns += std::to_string(choose());
  EXPECT_EQ(turns, "101101");
}

TEST_F(BalancerTest, NobodyIsChosenWhenNoneTakesRequests) {
  make(BalanceAlgorithm::kRoundRobin, {0, 0});
  EXPECT_EQ(choose(), -1);
}

// A retry is for another target, whatever the algorithm.
TEST_F(BalancerTest, ATargetThatWasTriedIsNotTakenUnlessItIsTheOnlyOne) {
  std::vector<config::Balance> all{hashed(), hashed(1.2)};
  for (auto algorithm : {BalanceAlgorithm::kRoundRobin, BalanceAlgorithm::kLeastRequests,
                         BalanceAlgorithm::kRandom, BalanceAlgorithm::kP2c, BalanceAlgorithm::kPeakEwma})
    all.push_back({.algorithm = algorithm, .hash = {}, .sticky = {}});
  for (const config::Balance& balance : all) {
    make(balance, {1, 5, 1});
    for (uint64_t i = 0; i < 200; ++i) {
      TriedTargets tried;
      int first = choose(i * 7919);
      tried.add(static_cast<uint16_t>(first));
      int second = choose(i * 7919, &tried);
      EXPECT_NE(second, first);
      tried.add(static_cast<uint16_t>(second));
      int third = choose(i * 7919, &tried);
      EXPECT_TRUE(third != first && third != second);
    }
    make(balance, {1, 0});
    TriedTargets tried;
    tried.add(0);
    EXPECT_EQ(choose(1, &tried), 0);
  }
}

TEST_F(BalancerTest, RandomFollowsTheWeights) {
  make(BalanceAlgorithm::kRandom, {1, 3});
  EXPECT_NEAR(draw(10'000)[1], 7500, 200);
}

TEST_F(BalancerTest, LeastRequestsTakesWhoHasTheFewestByItsWeight) {
  make(BalanceAlgorithm::kLeastRequests, {1, 2, 1});
  EXPECT_TRUE(balancer_->counts_requests());
  for (int i = 0; i < 3; ++i) loads_[0].enter();
  for (int i = 0; i < 2; ++i) loads_[2].enter();
  std::vector<int> taken;
  for (int i = 0; i < 5; ++i) {
    taken.push_back(choose());
    loads_[static_cast<size_t>(taken.back())].enter();
  }
  // (0+1)/2, (1+1)/2, (2+1)/2, (3+1)/2 of the second against (3+1)/1 and (2+1)/1.
  EXPECT_EQ(std::vector(taken.begin(), taken.begin() + 4), (std::vector{1, 1, 1, 1}));
}

TEST_F(BalancerTest, LeastRequestsTakesTurnsAmongEquals) {
  make(BalanceAlgorithm::kLeastRequests, {1, 1, 1});
  EXPECT_EQ(draw(300), (std::map<int, int>{{0, 100}, {1, 100}, {2, 100}}));
}

TEST_F(BalancerTest, OfTwoThatAreDrawnTheLessBusyOneIsTaken) {
  make(BalanceAlgorithm::kP2c, {1, 1, 1, 1});
  for (int i = 0; i < 10; ++i) loads_[2].enter();
  EXPECT_LT(draw(2000)[2], 20) << "only when it is drawn against itself, in all four draws";
}

// Finagle's peak EWMA: a slow answer counts at once, and is forgotten with time.
TEST_F(BalancerTest, PeakEwmaAvoidsTheSlowOneAndTriesItAgainLater) {
  make(BalanceAlgorithm::kPeakEwma, {1, 1, 1});
  for (TargetLoad& load : loads_) load.measure(10ms, now_);
  loads_[1].measure(100ms, now_);
  EXPECT_LT(draw(2000)[1], 70);
  now_ += 60s;
  for (int i : {0, 2}) loads_[static_cast<size_t>(i)].measure(10ms, now_);
  EXPECT_GT(draw(2000)[1], 200);
}

TEST_F(BalancerTest, ATargetThatHasNotAnsweredYetGetsOneRequest) {
  make(BalanceAlgorithm::kPeakEwma, {1, 1});
  loads_[0].measure(10ms, now_);
  EXPECT_GT(draw(100)[1], 50);
  loads_[1].enter();
  EXPECT_LT(draw(1000)[1], 150) << "only when it is drawn against itself, in all four draws";
}

TEST(TargetLoad, APeakCountsAtOnceAndDecays) {
  TargetLoad load;
  Instant now = Instant{} + 1h;
  EXPECT_EQ(load.latency(now), 0);
  load.measure(10ms, now);
  load.measure(50ms, now);
  EXPECT_NEAR(load.latency(now), 50e6, 1);
  load.measure(10ms, now + kLatencyDecay);
  EXPECT_NEAR(load.latency(now + kLatencyDecay), 10e6 + 40e6 / 2.718281828, 1e3);
}

TEST_F(BalancerTest, OneHashGoesToOneTarget) {
  make(hashed(), {1, 1, 1});
  std::map<int, int> counts;
  for (uint64_t i = 0; i < 3000; ++i) {
    int target = choose(mix64(i));
    EXPECT_EQ(choose(mix64(i)), target);
    ++counts[target];
  }
  for (int i = 0; i < 3; ++i) EXPECT_NEAR(counts[i], 1000, 120);
}

TEST_F(BalancerTest, WithoutAHashItIsRandom) {
  make(hashed(), {1, 1});
  EXPECT_NEAR(draw(1000)[0], 500, 60);
}

// Mirrokni, Thorup, Zadimoghaddam: nobody has more than the bound times the average.
TEST_F(BalancerTest, ABoundedLoadSendsWhatIsTooMuchToTheNextTarget) {
  make(hashed(1.25), {1, 1, 1, 1});
  for (int i = 0; i < 40; ++i) loads_[static_cast<size_t>(choose(42))].enter();
  uint32_t most = 0;
  for (TargetLoad& load : loads_) most = std::max(most, load.requests());
  EXPECT_LE(most, 13u) << "ceil(1.25 * 40 / 4)";
  make(hashed(), {1, 1, 1, 1});
  for (int i = 0; i < 40; ++i) loads_[static_cast<size_t>(choose(42))].enter();
  most = 0;
  for (TargetLoad& load : loads_) most = std::max(most, load.requests());
  EXPECT_EQ(most, 40u);
}

TEST_F(BalancerTest, ChoosesByTheViewOfTheMoment) {
  make(BalanceAlgorithm::kRoundRobin, {1, 1});
  std::vector<TargetShare> shares(2);
  shares[0].healthy = false;
  look(make_view(shares, {}, now_));
  EXPECT_EQ(draw(10), (std::map<int, int>{{1, 10}}));
}

}  // namespace
}  // namespace sluice::gateway
