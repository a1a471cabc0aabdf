#include "store/rate_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <barrier>
#include <deque>
#include <map>
#include <string>
#include <thread>

#include "base/random.h"

namespace sluice::store {
namespace {

using namespace std::chrono_literals;

constexpr Instant kStart = Instant(1000s);
const RateRule kHundredAMinute = RateRule::of(100, 1min, 100);

// A window's worth from each boundary of the clock to the next, in one go or in many.
TEST(RateTable, AFixedWindowEndsWithItsClock) {
  RateTable table(1);
  const RateRule rule = RateRule::fixed_window(10, 1min);
  RateKey key = table.key(1, "a");
  Instant window = Instant(60s * 20);
  RateDecision first = table.take(key, rule, window + 59s);
  EXPECT_TRUE(first.allowed);
  EXPECT_EQ(first.remaining, 9u);
  EXPECT_EQ(first.reset_after, 1s);
  for (int i = 1; i < 10; ++i) EXPECT_TRUE(table.take(key, rule, window + 59s).allowed);
  RateDecision refused = table.take(key, rule, window + 59s);
  EXPECT_FALSE(refused.allowed);
  EXPECT_EQ(refused.retry_after, 1s);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(table.take(key, rule, window + 60s).allowed) << "a new window";
  EXPECT_FALSE(table.take(key, rule, window + 119s).allowed) << "nothing comes back within it";
  EXPECT_TRUE(table.take(key, rule, window + 10min).allowed);
  EXPECT_FALSE(table.take(key, rule, window + 10min, 10).allowed);
  EXPECT_TRUE(table.take(key, rule, window + 10min, 9).allowed);
  EXPECT_EQ(table.take(key, rule, window + 10min, 11).retry_after, Duration::max());
  EXPECT_EQ(table.peek(table.key(1, "b"), rule, window).remaining, 10u);
}

// What is counted in a window is live until it ends, however little it is.
TEST(RateTable, OtherKeysDoNotPushAWindowsCountOut) {
  RateTable table(1, 16);
  const RateRule rule = RateRule::fixed_window(2, 1h);
  const RateRule brief = RateRule::of(1000, 1s, 1);
  Instant now = Instant(1h);
  EXPECT_TRUE(table.take(table.key(1, "a"), rule, now).allowed);
  EXPECT_TRUE(table.take(table.key(1, "a"), rule, now).allowed);
  for (int i = 0; i < 200; ++i) {
    now += 10s;
    table.take(table.key(2, std::to_string(i)), brief, now);
  }
  EXPECT_FALSE(table.take(table.key(1, "a"), rule, now).allowed);
  EXPECT_EQ(table.evictions(), 0u);
}

TEST(RateRule, RoundsTheIntervalUpSoThatTheRateIsNeverExceeded) {
  struct Case {
    uint64_t count;
    Duration period;
    uint64_t burst;
    Duration interval, tolerance;
  };
  const Case cases[] = {
      {100, 1min, 100, 600ms, 60s},
      {7, 1s, 7, 142'857'143ns, 1'000'000'001ns},
      {1, 24h, 1, 24h, 24h},
      {1, 1s, 5, 1s, 5s},
      {10'000'000'000, 1s, 10, 1ns, 10ns},  // more than one a nanosecond
      {1, 1s, UINT64_MAX, 1s, RateRule::kMaxTolerance},
  };
  for (const Case& c : cases) {
    RateRule limit = RateRule::of(c.count, c.period, c.burst);
    EXPECT_EQ(limit.interval, c.interval) << c.count;
    EXPECT_EQ(limit.tolerance, c.tolerance) << c.count;
  }
}

TEST(RateTable, ABurstIsAllowedAtOnceAndComesBackEvenly) {  // contract, "Rates"
  RateTable table(1);
  RateKey key = table.key(1, "a");
  for (uint64_t i = 1; i <= 100; ++i) {
    RateDecision decision = table.take(key, kHundredAMinute, kStart);
    ASSERT_TRUE(decision.allowed) << i;
    EXPECT_EQ(decision.remaining, 100 - i);
    EXPECT_EQ(decision.reset_after, 600ms * i);
    EXPECT_EQ(decision.retry_after, 0s);
  }
  RateDecision refused = table.take(key, kHundredAMinute, kStart + 100ms);
  EXPECT_FALSE(refused.allowed);
  EXPECT_EQ(refused.remaining, 0u);
  EXPECT_EQ(refused.retry_after, 500ms);
  EXPECT_EQ(refused.reset_after, 59900ms);
  EXPECT_FALSE(table.take(key, kHundredAMinute, kStart + 600ms - 1ns).allowed);
  EXPECT_TRUE(table.take(key, kHundredAMinute, kStart + 600ms).allowed);
  EXPECT_FALSE(table.take(key, kHundredAMinute, kStart + 600ms).allowed);
}

TEST(RateTable, ARefusedRequestCostsNothing) {
  RateTable table(1);
  RateKey key = table.key(1, "a");
  RateRule limit = RateRule::of(1, 1s, 1);
  EXPECT_TRUE(table.take(key, limit, kStart).allowed);
  for (int i = 0; i < 1000; ++i) EXPECT_FALSE(table.take(key, limit, kStart + 999ms).allowed);
  EXPECT_TRUE(table.take(key, limit, kStart + 1s).allowed);
}

TEST(RateTable, AtMost199InAnyMinuteWhateverTheDemand) {  // contract, "Rates"
  RateTable table(1);
  RateKey key = table.key(1, "a");
  std::deque<Instant> minute;
  size_t most = 0;
  for (Instant now = kStart; now < kStart + 5min; now += 1ms) {
    if (now > kStart + 2min && now < kStart + 3min) continue;  // a pause that fills the bucket again
    while (table.take(key, kHundredAMinute, now).allowed) minute.push_back(now);
    while (!minute.empty() && minute.front() <= now - 1min) minute.pop_front();
    most = std::max(most, minute.size());
  }
  EXPECT_EQ(most, 199u);
}

TEST(RateTable, ACostCountsAsThatManyRequests) {
  RateTable table(1);
  RateKey key = table.key(1, "a");
  RateRule limit = RateRule::of(10, 1s, 10);
  EXPECT_EQ(table.take(key, limit, kStart, 7).remaining, 3u);
  RateDecision refused = table.take(key, limit, kStart, 5);
  EXPECT_FALSE(refused.allowed);
  EXPECT_EQ(refused.remaining, 3u);
  EXPECT_EQ(refused.retry_after, 200ms);
  EXPECT_TRUE(table.take(key, limit, kStart, 3).allowed);
  RateDecision never = table.take(key, limit, kStart, 11);
  EXPECT_FALSE(never.allowed);
  EXPECT_EQ(never.retry_after, Duration::max());
  EXPECT_FALSE(table.take(table.key(1, "new"), limit, kStart, UINT32_MAX).allowed);
}

TEST(RateTable, PeekTakesNothing) {
  RateTable table(1);
  RateKey key = table.key(1, "a");
  RateRule limit = RateRule::of(3, 3s, 3);
  EXPECT_EQ(table.peek(key, limit, kStart).remaining, 3u);
  EXPECT_EQ(table.peek(key, limit, kStart).reset_after, 0s);
  table.take(key, limit, kStart, 2);
  for (int i = 0; i < 3; ++i) {
    RateDecision seen = table.peek(key, limit, kStart);
    EXPECT_TRUE(seen.allowed);
    EXPECT_EQ(seen.remaining, 1u);
    EXPECT_EQ(seen.reset_after, 2s);
  }
  EXPECT_FALSE(table.peek(key, limit, kStart, 2).allowed);
  EXPECT_EQ(table.peek(key, limit, kStart, 2).retry_after, 1s);
}

TEST(RateTable, KeysOfDifferentLimitsAndTextsAreStrangers) {
  RateTable table(1);
  RateRule limit = RateRule::of(1, 1h, 1);
  for (uint64_t identity : {1, 2, 3})
    for (std::string_view text : {"", "a", "b", "ab"})
      EXPECT_TRUE(table.take(table.key(identity, text), limit, kStart).allowed) << identity << text;
  EXPECT_FALSE(table.take(table.key(2, "ab"), limit, kStart).allowed);
}

TEST(RateTable, AnInstantThatGoesBackIsHarmless) {
  RateTable table(1);
  RateKey key = table.key(1, "a");
  RateRule limit = RateRule::of(10, 1s, 2);
  EXPECT_TRUE(table.take(key, limit, kStart).allowed);
  EXPECT_TRUE(table.take(key, limit, kStart - 50ms).remaining == 0);
  EXPECT_FALSE(table.take(key, limit, kStart - 50ms).allowed);
  EXPECT_TRUE(table.take(key, limit, kStart + 100ms).allowed);
  EXPECT_TRUE(table.take(table.key(2, ""), limit, Instant()).allowed) << "the clock's first instant";
}

/// GCRA said the other way round (a bucket that leaks) and with no table, for time that only moves on.
TEST(RateTable, AgreesWithALeakyBucketOnRandomSequences) {
  struct Bucket {
    Duration filled{};
    Instant at{};
  };
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    Random random(seed);
    RateTable table(seed, 64);
    std::map<uint64_t, Bucket> model;
    RateRule limit =
        RateRule::of(1 + random.below(20), Duration(1 + random.below(2'000'000'000)), 1 + random.below(30));
    Instant now = kStart;
    for (int step = 0; step < 3000; ++step) {
      now +=
          random.below(50) == 0 ? limit.tolerance : Duration(random.below(nanoseconds(limit.interval) + 1));
      uint64_t who = random.below(8);
      auto cost = static_cast<uint32_t>(random.below(4) == 0 ? random.below(5) : 1);
      Bucket& bucket = model[who];
      Duration left = std::max(Duration(), bucket.filled - (now - bucket.at));
      bool fits = left + limit.interval * cost <= limit.tolerance;
      if (fits) bucket = {left + limit.interval * cost, now};
      RateDecision decision = table.take(table.key(who, "k"), limit, now, cost);
      ASSERT_EQ(decision.allowed, fits) << "seed " << seed << " step " << step;
      Duration after = fits ? bucket.filled : left;
      ASSERT_EQ(decision.reset_after, after);
      ASSERT_EQ(decision.remaining, static_cast<uint64_t>((limit.tolerance - after) / limit.interval));
      if (!fits && limit.interval * cost <= limit.tolerance) {
        ASSERT_TRUE(table.peek(table.key(who, "k"), limit, now + decision.retry_after, cost).allowed);
        ASSERT_FALSE(table.peek(table.key(who, "k"), limit, now + decision.retry_after - 1ns, cost).allowed);
      }
    }
    EXPECT_EQ(table.evictions(), 0u);
  }
}

/// The definition, with clocks that differ by up to the skew that the table promises to bear, in a table so
/// small that idle keys lose their slots all the time.
TEST(RateTable, StaysExactWhileIdleSlotsAreReusedAndClocksDiffer) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Random random(seed);
    RateTable table(seed, 16);
    std::map<uint64_t, Instant> model;
    RateRule limit = RateRule::of(4, 1s, 3);
    Instant time = kStart;
    for (int step = 0; step < 20'000; ++step) {
      time += Duration(random.below(400'000'000));  // some 8 live keys at a time
      Instant now = time - Duration(random.below(nanoseconds(RateTable::kMaxSkew)));
      uint64_t who = random.below(64);
      Instant& tat = model[who];
      Instant next = std::max(tat, now) + limit.interval;
      bool fits = next - now <= limit.tolerance;
      if (fits) tat = next;
      ASSERT_EQ(table.take(table.key(who, "k"), limit, now).allowed, fits)
          << "seed " << seed << " step " << step;
    }
    EXPECT_EQ(table.evictions(), 0u);
  }
}

TEST(RateTable, HoldsAsManyLiveKeysAsItSays) {
  constexpr uint64_t kKeys = 30'000;
  RateTable table(1, kKeys);
  RateRule limit = RateRule::of(1, 1h, 1);
  for (uint64_t i = 0; i < kKeys; ++i) ASSERT_TRUE(table.take(table.key(i, ""), limit, kStart).allowed);
  EXPECT_EQ(table.evictions(), 0u);
  for (uint64_t i = 0; i < kKeys; ++i) ASSERT_FALSE(table.take(table.key(i, ""), limit, kStart).allowed);
}

TEST(RateTable, WhenFullTheKeyNearestToItsFullBurstMakesRoom) {
  RateTable table(1, 16);
  RateRule limit = RateRule::of(1, 1h, 10);
  RateKey hot = table.key(0, "hot");
  for (int i = 0; i < 10; ++i) table.take(hot, limit, kStart);
  for (uint64_t i = 1; i <= 1000; ++i) EXPECT_TRUE(table.take(table.key(i, ""), limit, kStart).allowed);
  EXPECT_GT(table.evictions(), 900u);
  EXPECT_FALSE(table.take(hot, limit, kStart).allowed);
}

TEST(RateTable, AnIdleKeyMakesRoomWithoutCountingAsEvicted) {
  RateTable table(1, 16);
  RateRule limit = RateRule::of(1, 1s, 1);
  Instant now = kStart;
  for (uint64_t i = 0; i < 1000; ++i, now += 1s)
    EXPECT_TRUE(table.take(table.key(i, ""), limit, now).allowed);
  EXPECT_EQ(table.evictions(), 0u);
}

/// Runs `work(thread)` on so many threads that begin together.
template <class F>
void together(int threads, F work) {
  std::barrier start(threads);
  std::vector<std::jthread> running;
  for (int thread = 0; thread < threads; ++thread) {
    running.emplace_back([&, thread] {
      start.arrive_and_wait();
      work(thread);
    });
  }
}

TEST(RateTable, ThreadsThatAskForOneKeyGetTheBurstAndNotOneMore) {
  for (uint64_t round = 0; round < 50; ++round) {
    RateTable table(round);
    RateKey key = table.key(1, "a");
    RateRule limit = RateRule::of(1000, 1h, 1000);
    std::atomic<uint64_t> allowed = 0;
    together(4, [&](int) {
      uint64_t mine = 0;
      for (int i = 0; i < 400; ++i) mine += table.take(key, limit, kStart).allowed;
      allowed += mine;
    });
    EXPECT_EQ(allowed, 1000u);
  }
}

TEST(RateTable, NothingIsLostBetweenThreadsWhoseClocksDiffer) {
  RateTable table(1);
  RateKey key = table.key(1, "a");
  RateRule limit = RateRule::of(1000, 1s, 100);
  ASSERT_TRUE(table.take(key, limit, kStart, 100).allowed);
  std::atomic<uint64_t> allowed = 100;
  together(4, [&](int thread) {
    uint64_t mine = 0;
    Instant now = kStart + thread * 1ms;
    for (int i = 0; i < 20'000; ++i, now += 20us) mine += table.take(key, limit, now).allowed;
    allowed += mine;
  });
  // Always asked for more than there is, so never idle: the TAT is the start and one interval for each
  // request that was allowed.
  Instant tat = kStart + table.peek(key, limit, kStart).reset_after;
  EXPECT_EQ(tat, kStart + limit.interval * allowed.load());
}

/// All threads meet the same new keys at the same time, in a table full of idle keys, so that several try to
/// bring in one key in different slots.
TEST(RateTable, ANewKeyThatSeveralThreadsBringInIsStillOne) {
  constexpr uint64_t kKeys = 1500;
  constexpr int kThreads = 4;
  RateTable table(7, 2048);
  RateRule limit = RateRule::of(1, 1s, 3);
  for (uint64_t round = 0; round < 60; ++round) {
    std::vector<std::atomic<uint32_t>> allowed(kKeys);
    Instant now = kStart + round * 10s;
    together(kThreads, [&](int thread) {
      for (uint64_t i = 0; i < kKeys; ++i) {
        uint64_t who = round % 2 == 0 ? i : (i + static_cast<uint64_t>(thread) * 3) % kKeys;
        bool fits = table.take(table.key(round * kKeys + who, ""), limit, now).allowed;
        allowed[who].fetch_add(fits, std::memory_order_relaxed);
      }
    });
    for (uint64_t i = 0; i < kKeys; ++i) ASSERT_EQ(allowed[i], 3u) << "round " << round << " key " << i;
  }
  EXPECT_EQ(table.evictions(), 0u);
}

}  // namespace
}  // namespace sluice::store
