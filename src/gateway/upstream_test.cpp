#include "gateway/upstream.h"

#include <gtest/gtest.h>

namespace sluice::gateway {
namespace {

// Worked by hand from nginx's algorithm (ngx_http_upstream_round_robin.c): each turn every target gains its
// weight, the greatest is chosen and loses the sum of all.
TEST(SmoothSchedule, SpreadsTurnsAsNginxDoes) {
  struct Case {
    std::vector<uint32_t> weights;
    std::vector<uint16_t> round;
  };
  for (const Case& each : {
           Case{{1}, {0}},
           Case{{7}, {0}},
           Case{{1, 1}, {0, 1}},
           Case{{1, 2}, {1, 0, 1}},
           Case{{5, 1, 1}, {0, 0, 1, 0, 2, 0, 0}},
           Case{{10, 2, 2}, {0, 0, 1, 0, 2, 0, 0}},  // reduced by the common divisor
           Case{{4, 3, 2}, {0, 1, 2, 0, 1, 0, 2, 1, 0}},
           Case{{0, 3}, {1}},
           Case{{0, 0}, {}},
           Case{{}, {}},
       })
    EXPECT_EQ(smooth_schedule(each.weights), each.round);
}

TEST(SmoothSchedule, GivesEveryTargetItsWeightInEveryRound) {
  std::vector<uint32_t> weights{95, 5, 0, 37};
  std::vector<uint32_t> turns(weights.size(), 0);
  for (uint16_t target : smooth_schedule(weights)) ++turns[target];
  EXPECT_EQ(turns, weights);
}

TEST(SmoothSchedule, BoundsTheRoundAndForgetsNobody) {
  std::vector<uint16_t> round = smooth_schedule(std::vector<uint32_t>{1'000'000, 1, 0, 499'999});
  EXPECT_LE(round.size(), kMaxRound + 1) << "a share that rounds to zero is raised to one";
  EXPECT_EQ(std::count(round.begin(), round.end(), 1), 1);
  EXPECT_EQ(std::count(round.begin(), round.end(), 2), 0) << "a weight of zero takes no request";
  EXPECT_NEAR(
      static_cast<double>(std::count(round.begin(), round.end(), 0)) / static_cast<double>(round.size()),
      2.0 / 3, 0.001);
}

class UpstreamTest : public ::testing::Test {
 protected:
  static config::TargetUrl url(std::string host, uint16_t port) {
    config::TargetUrl out;
    out.host = std::move(host);
    out.port = port;
    return out;
  }
  TargetRegistry registry_;
};

TEST_F(UpstreamTest, ReadsItsRetryRules) {
  using Kind = config::RetryCondition::Kind;
  config::Upstream configured;
  Upstream standard("u", configured, {}, {});
  EXPECT_EQ(standard.retry.attempts, 2u);
  EXPECT_TRUE(standard.retry.on_connect_failure);
  EXPECT_TRUE(standard.retry.on_reset);
  EXPECT_FALSE(standard.retry.on_timeout);
  EXPECT_TRUE(standard.retry.statuses.empty());
  configured.retry = {.attempts = 3, .on = {{Kind::kTimeout, 0}, {Kind::kStatus, 502}, {Kind::kStatus, 503}}};
  Upstream own("u", configured, {}, {});
  EXPECT_EQ(own.retry.attempts, 3u);
  EXPECT_FALSE(own.retry.on_connect_failure);
  EXPECT_FALSE(own.retry.on_reset);
  EXPECT_TRUE(own.retry.on_timeout);
  EXPECT_EQ(own.retry.statuses, (std::vector<uint16_t>{502, 503}));
}

// Contract, section 2 "Reload": what did not change keeps its state, here pools and addresses.
TEST_F(UpstreamTest, ATargetKeepsItsIdentityWhileSomebodyHasIt) {
  auto target = registry_.find_or_make("u", url("10.0.0.1", 80));
  EXPECT_EQ(registry_.find_or_make("u", url("10.0.0.1", 80)), target);
  EXPECT_NE(registry_.find_or_make("v", url("10.0.0.1", 80)), target) << "another upstream's";
  EXPECT_NE(registry_.find_or_make("u", url("10.0.0.1", 81)), target);
}

TEST_F(UpstreamTest, SlotsAreUsedAgain) {
  auto first = registry_.find_or_make("u", url("10.0.0.1", 80));
  auto second = registry_.find_or_make("u", url("10.0.0.2", 80));
  EXPECT_NE(first->slot, second->slot);
  uint32_t slot = first->slot;
  first.reset();
  EXPECT_EQ(registry_.find_or_make("u", url("10.0.0.3", 80))->slot, slot);
}

TEST_F(UpstreamTest, LiteralAddressesNeedNoResolving) {
  auto literal = registry_.find_or_make("u", url("10.0.0.1", 80));
  auto v6 = registry_.find_or_make("u", url("::1", 80));
  auto name = registry_.find_or_make("u", url("backend.test", 80));
  ASSERT_TRUE(literal->addresses());
  EXPECT_EQ(literal->addresses()->front().text(), "10.0.0.1:80");
  ASSERT_TRUE(v6->addresses());
  EXPECT_EQ(v6->addresses()->front().text(), "[::1]:80");
  EXPECT_TRUE(name->is_name());
  EXPECT_EQ(name->addresses(), nullptr);
  EXPECT_EQ(registry_.names(), std::vector{name});
}

TEST_F(UpstreamTest, PublishHandsTheOldAddressesBack) {
  auto name = registry_.find_or_make("u", url("backend.test", 80));
  using Addresses = TargetIdentity::Addresses;
  EXPECT_EQ(name->publish(std::make_unique<Addresses>(Addresses{io::Address::loopback(1)})), nullptr);
  auto old = name->publish(std::make_unique<Addresses>(Addresses{io::Address::loopback(2)}));
  ASSERT_TRUE(old);
  EXPECT_EQ(old->front().port, 1);
  EXPECT_EQ(name->addresses()->front().port, 2);
}

}  // namespace
}  // namespace sluice::gateway
