#include "store/window_table.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <thread>

#include "base/random.h"

namespace sluice::store {
namespace {

using namespace std::chrono_literals;

constexpr Instant kStart = Instant(5s);

TEST(WindowTable, LetsItsLimitThroughAndMoreWhenThatHasGone) {
  WindowTable table(1);
  RateKey key = table.key(1, "a");
  WindowRule rule = WindowRule::of(10, 9s);
  for (uint64_t i = 1; i <= 10; ++i) {
    RateDecision decision = table.take(key, rule, kStart);
    ASSERT_TRUE(decision.allowed);
    EXPECT_EQ(decision.remaining, 10 - i);
    EXPECT_EQ(decision.reset_after, 10s);
  }
  RateDecision refused = table.take(key, rule, kStart + 1s);
  EXPECT_FALSE(refused.allowed);
  EXPECT_EQ(refused.retry_after, 9s) << "the second that it was in must have gone whole";
  EXPECT_FALSE(table.take(key, rule, kStart + 10s - 1ns).allowed);
  EXPECT_TRUE(table.take(key, rule, kStart + 10s).allowed);
}

TEST(WindowTable, PeekTakesNothing) {
  WindowTable table(1);
  RateKey key = table.key(1, "a");
  WindowRule rule = WindowRule::of(3, 9s);
  EXPECT_EQ(table.peek(key, rule, kStart).remaining, 3u);
  table.take(key, rule, kStart, 2);
  EXPECT_TRUE(table.peek(key, rule, kStart + 1s).allowed);
  EXPECT_EQ(table.peek(key, rule, kStart + 1s).remaining, 1u);
  EXPECT_FALSE(table.peek(key, rule, kStart + 1s, 2).allowed);
  EXPECT_EQ(table.peek(key, rule, kStart + 1s, 2).retry_after, 9s);
  EXPECT_EQ(table.peek(key, rule, kStart + 1s, 4).retry_after, Duration::max()) << "it never fits";
  EXPECT_EQ(table.peek(key, rule, kStart + 11s).remaining, 3u);
  EXPECT_EQ(table.peek(table.key(1, "b"), rule, kStart).remaining, 3u);
}

// Contract, "Rates": `sliding_window` never lets more than 100 through, in whichever minute.
TEST(WindowTable, NoPeriodWhateverItsBeginExceedsTheLimit) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    Random random(seed);
    WindowTable table(seed, 16);
    WindowRule rule = WindowRule::of(100, 1min);
    RateKey key = table.key(1, "a");
    std::deque<std::pair<Instant, uint32_t>> minute;
    uint64_t held = 0;
    uint64_t passed = 0;
    Instant now = kStart;
    for (int step = 0; step < 20'000; ++step) {
      now += random.below(500) == 0 ? Duration(random.below(200'000'000'000))
                                    : Duration(random.below(400'000'000));
      auto cost = static_cast<uint32_t>(1 + random.below(3));
      while (!minute.empty() && minute.front().first <= now - 1min) {
        held -= minute.front().second;
        minute.pop_front();
      }
      RateDecision decision = table.take(key, rule, now, cost);
      if (!decision.allowed) {
        ASSERT_TRUE(table.peek(key, rule, now + decision.retry_after, cost).allowed) << seed << " " << step;
        continue;
      }
      held += cost;
      passed += cost;
      minute.push_back({now, cost});
      ASSERT_LE(held, 100u) << "seed " << seed << " step " << step;
    }
    // And it does let through: at least nine tenths of the limit in a period of demand.
    EXPECT_GT(static_cast<double>(passed), 85 * ((now - kStart) / 1min) * 0.5);
  }
}

TEST(WindowTable, ABusyKeyGetsNineTenthsOfItsLimit) {
  WindowTable table(1);
  RateKey key = table.key(1, "a");
  WindowRule rule = WindowRule::of(90, 9s);
  uint64_t passed = 0;
  for (Instant now = kStart; now < kStart + 1000s; now += 30ms) passed += table.take(key, rule, now).allowed;
  EXPECT_NEAR(static_cast<double>(passed), 9000, 90);
}

/// Many threads at one key, over many windows: the sum stays exact.
TEST(WindowTable, IsExactAcrossThreads) {
  WindowTable table(1);
  RateKey key = table.key(1, "a");
  WindowRule rule = WindowRule::of(1000, 9s);
  std::atomic<int> passed{0};
  std::atomic<int64_t> clock{nanoseconds(kStart.time_since_epoch())};
  for (int round = 0; round < 20; ++round) {
    std::vector<std::thread> threads;
    int before = passed;
    for (int i = 0; i < 4; ++i)
      threads.emplace_back([&] {
        for (int j = 0; j < 1000; ++j)
          passed += table.take(key, rule, Instant(Duration(clock.load()))).allowed;
      });
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(passed - before, 1000) << round;
    clock += nanoseconds(10s);
  }
}

TEST(WindowTable, KeysComeAndGoInASmallTable) {
  WindowTable table(1, 16);
  WindowRule rule = WindowRule::of(2, 90ms);
  Instant now = kStart;
  for (uint64_t i = 0; i < 20'000; ++i) {
    now += 200ms;
    RateKey key = table.key(i, "k");
    ASSERT_TRUE(table.take(key, rule, now).allowed);
    ASSERT_TRUE(table.take(key, rule, now).allowed);
    ASSERT_FALSE(table.take(key, rule, now).allowed);
  }
  EXPECT_EQ(table.evictions(), 0u);
}

TEST(WindowTable, AKeyThatWasAwayForVeryLongBeginsAnew) {
  WindowTable table(1);
  RateKey key = table.key(1, "a");
  WindowRule rule = WindowRule::of(1, 9ms);  // its ninths' numbers go round in 50 days
  for (Instant now = kStart; now < kStart + 24h * 200; now += 24h * 3 + 7ms) {
    ASSERT_TRUE(table.take(key, rule, now).allowed);
    ASSERT_FALSE(table.take(key, rule, now + 1ms).allowed);
  }
}

}  // namespace
}  // namespace sluice::store
