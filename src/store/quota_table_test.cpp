#include "store/quota_table.h"

#include <gtest/gtest.h>

#include <thread>

namespace sluice::store {
namespace {

using Outcome = QuotaTable::Taken::Outcome;

constexpr int64_t kEnd = 1'800'000'000;
constexpr int64_t kNow = kEnd - 1000;
constexpr CounterKey kKey{11, 12};

Grant granted(const CounterKey& key, int64_t end, uint64_t from, uint64_t to) {
  return {.key = key, .period_end = end, .limit = 0, .wanted = 0, .from = from, .to = to};
}

TEST(QuotaTable, WhatIsGrantedCanBeTaken) {
  QuotaTable table(16);
  EXPECT_EQ(table.take(kKey, kEnd, 100, 10, 1).outcome, Outcome::kUnknown);
  table.granted(granted(kKey, kEnd, 30, 40), kNow);
  for (uint64_t i = 1; i <= 10; ++i) {
    auto taken = table.take(kKey, kEnd, 100, 10, 1);
    ASSERT_EQ(taken.outcome, Outcome::kTaken);
    EXPECT_EQ(taken.spent, 30 + i);
    EXPECT_EQ(taken.low, i == 6) << "once, when less than half a block is left";
  }
  EXPECT_EQ(table.take(kKey, kEnd, 100, 10, 1).outcome, Outcome::kUnknown);
  table.granted(granted(kKey, kEnd, 40, 100), kNow);
  EXPECT_EQ(table.take(kKey, kEnd, 100, 10, 61).outcome, Outcome::kSpent);
  EXPECT_EQ(table.take(kKey, kEnd, 100, 10, 60).outcome, Outcome::kTaken);
  EXPECT_EQ(table.take(kKey, kEnd, 100, 10, 1).outcome, Outcome::kSpent);
  table.give_back(kKey, kEnd, 5);
  EXPECT_EQ(table.peek(kKey, kEnd, 100, 5).outcome, Outcome::kTaken);
}

TEST(QuotaTable, ANewPeriodIsUnknownAndAnOldOneGoesOnInTheNew) {
  QuotaTable table(16);
  table.granted(granted(kKey, kEnd, 0, 10), kNow);
  table.take(kKey, kEnd, 100, 10, 7);
  EXPECT_EQ(table.take(kKey, kEnd + 3600, 100, 10, 1).outcome, Outcome::kUnknown);
  table.granted(granted(kKey, kEnd + 3600, 0, 10), kNow);
  EXPECT_EQ(table.take(kKey, kEnd + 3600, 100, 10, 1).spent, 1u);
  auto back = table.take(kKey, kEnd, 100, 10, 1);
  EXPECT_EQ(back.spent, 2u) << "the clock was set back";
  EXPECT_EQ(back.period_end, kEnd + 3600);
}

// Another process with the same state has taken [10, 20).
TEST(QuotaTable, WhatOthersWereGrantedCountsAsSpent) {
  QuotaTable table(16);
  table.granted(granted(kKey, kEnd, 0, 10), kNow);
  table.take(kKey, kEnd, 100, 10, 4);
  table.granted(granted(kKey, kEnd, 20, 30), kNow);
  EXPECT_EQ(table.take(kKey, kEnd, 100, 10, 16).spent, 30u);
  EXPECT_EQ(table.take(kKey, kEnd, 100, 10, 1).outcome, Outcome::kUnknown);
}

TEST(QuotaTable, WhatIsLeftIsKnownAtTheEnd) {
  QuotaTable table(16);
  table.granted(granted(kKey, kEnd, 0, 10), kNow);
  table.granted(granted({13, 14}, kEnd, 0, 10), kNow);
  table.granted(granted({15, 16}, kNow - 1, 0, 10), kNow);
  table.take(kKey, kEnd, 100, 10, 4);
  table.take({13, 14}, kEnd, 100, 10, 10);
  auto left = table.unspent(kNow);
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(left[0].key, kKey);
  EXPECT_EQ(left[0].granted, 10u);
  EXPECT_EQ(left[0].spent, 4u);
}

TEST(QuotaTable, CountersOfEndedPeriodsMakeRoomFirst) {
  QuotaTable table(16);
  for (uint64_t i = 1; i <= 5000; ++i) {
    int64_t end = kEnd + static_cast<int64_t>(i) * 10;
    CounterKey key{i, i * 0x9e3779b97f4a7c15};
    table.granted(granted(key, end, 0, 10), end - 5);
    ASSERT_EQ(table.take(key, end, 10, 1, 10).outcome, Outcome::kTaken);
  }
  EXPECT_EQ(table.evictions(), 0u);
  for (uint64_t i = 1; i <= 5000; ++i)
    table.granted(granted({i, i * 0x9e3779b97f4a7c15}, kEnd * 2, 0, 10), kEnd);
  EXPECT_GT(table.evictions(), 4000u);
}

TEST(QuotaTable, IsExactAcrossThreads) {
  QuotaTable table(16);
  table.granted(granted(kKey, kEnd, 0, 100'000), kNow);
  std::atomic<int> taken{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int j = 0; j < 50'000; ++j)
        taken += table.take(kKey, kEnd, 100'000, 100, 1).outcome == Outcome::kTaken;
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(taken, 100'000);
}

}  // namespace
}  // namespace sluice::store
