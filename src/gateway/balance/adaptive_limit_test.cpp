#include "gateway/balance/adaptive_limit.h"

#include <gtest/gtest.h>

namespace sluice::gateway {
namespace {

using namespace std::chrono_literals;

/// An upstream that works on so many requests at once; more wait there. Whoever asks has always as many in
/// hand as it may, or as it wants.
class AdaptiveLimitTest : public ::testing::Test {
 protected:
  void windows(int count, uint32_t wanted = UINT32_MAX) {
    for (int i = 0; i < count; ++i) {
      for (int each = 0; each < 20; ++each) {
        uint32_t in_hand = std::min(wanted, limit.limit(rules));
        double waits = std::max(1.0, in_hand / double(capacity));
        count_moved(limit.answered(Duration(static_cast<int64_t>(1e7 * waits)), in_hand, now, rules));
      }
      now += 1s;
    }
  }
  void count_moved(AdaptiveLimit::Moved moved) { shown += moved.value_or(0); }

  AdaptiveLimit::Rules rules{.min = 10, .max = 1000, .initial = 50};
  AdaptiveLimit limit;
  Instant now{1s};
  uint32_t capacity = 200;
  int64_t shown = 0;
};

TEST_F(AdaptiveLimitTest, BeginsAtTheInitialLimit) { EXPECT_EQ(limit.limit(rules), 50u); }

TEST_F(AdaptiveLimitTest, GrowsWhileAnswersTakeWhatTheyTook) {
  windows(100);
  EXPECT_GT(limit.limit(rules), 100u);
  EXPECT_EQ(shown, limit.limit(rules)) << "the gauge follows";
  windows(5000);
  EXPECT_LE(limit.limit(rules), 1000u);
}

TEST_F(AdaptiveLimitTest, DoesNotGrowBeyondWhatIsAskedFor) {
  windows(200, 20);
  EXPECT_EQ(limit.limit(rules), 50u);
}

TEST_F(AdaptiveLimitTest, FallsWhenAnswersTakeLonger) {
  windows(300);
  uint32_t before = limit.limit(rules);
  capacity = 40;
  windows(30);
  EXPECT_LT(limit.limit(rules), before / 2);
  EXPECT_GE(limit.limit(rules), 10u);
}

// Netflix's AIMDLimit: a tenth less for each window with a refusal.
TEST_F(AdaptiveLimitTest, FallsByATenthWhenTheUpstreamSaysSo) {
  windows(2);
  uint32_t before = limit.limit(rules);
  for (int i = 0; i < 100; ++i) count_moved(limit.overloaded(now, rules));
  EXPECT_EQ(limit.limit(rules), static_cast<uint32_t>(before * 0.9));
  for (int i = 0; i < 100; ++i) {
    now += 1s;
    count_moved(limit.overloaded(now, rules));
  }
  EXPECT_EQ(limit.limit(rules), 10u);
  EXPECT_EQ(shown, 10);
}

TEST_F(AdaptiveLimitTest, AFewAnswersSayNothing) {
  for (int i = 0; i < 9; ++i) {
    EXPECT_FALSE(limit.answered(10ms, 50, now, rules));
    now += 2s;
  }
  EXPECT_EQ(limit.limit(rules), 50u);
}

TEST_F(AdaptiveLimitTest, AReloadWithOtherBoundsHoldsAtOnce) {
  windows(300);
  rules.max = 60;
  EXPECT_EQ(limit.limit(rules), 60u);
}

}  // namespace
}  // namespace sluice::gateway
