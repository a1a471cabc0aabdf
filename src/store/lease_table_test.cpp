#include "store/lease_table.h"

#include <gtest/gtest.h>

#include <thread>

namespace sluice::store {
namespace {

using namespace std::chrono_literals;
using Outcome = LeaseTable::Taken::Outcome;

constexpr Instant kStart = Instant(5s);
constexpr CounterKey kKey{1, 2};

TEST(LeaseTable, WhatIsBorrowedCanBeSpentUntilItExpires) {
  LeaseTable table(16);
  EXPECT_EQ(table.take(kKey, 1, 10, kStart).outcome, Outcome::kUnknown);
  table.borrowed(kKey, {.amount = 5, .remaining = 40, .reset_after = 3s, .retry_after = {}}, kStart);
  auto taken = table.take(kKey, 2, 10, kStart + 1ms);
  EXPECT_EQ(taken.outcome, Outcome::kTaken);
  EXPECT_EQ(taken.remaining, 43u);
  EXPECT_EQ(taken.reset_after, 2999ms);
  EXPECT_EQ(table.take(kKey, 4, 10, kStart + 1ms).outcome, Outcome::kUnknown);
  table.give_back(kKey, 2);
  EXPECT_EQ(table.take(kKey, 4, 10, kStart + 1ms).outcome, Outcome::kTaken);
  EXPECT_EQ(table.take(kKey, 1, 10, kStart + LeaseTable::kLifetime).outcome, Outcome::kUnknown);
  table.borrowed(kKey, {.amount = 1, .remaining = 0, .reset_after = {}, .retry_after = {}}, kStart + 2s);
  EXPECT_EQ(table.take(kKey, 1, 10, kStart + 2s).outcome, Outcome::kTaken);
  EXPECT_EQ(table.take(kKey, 1, 10, kStart + 2s).outcome, Outcome::kUnknown) << "what had expired is gone";
}

TEST(LeaseTable, ARefusalIsBelievedUntilItsTime) {
  LeaseTable table(16);
  table.borrowed(kKey, {.amount = 0, .remaining = 0, .reset_after = 9s, .retry_after = 200ms}, kStart);
  auto refused = table.take(kKey, 1, 10, kStart + 50ms);
  EXPECT_EQ(refused.outcome, Outcome::kRefused);
  EXPECT_EQ(refused.retry_after, 150ms);
  EXPECT_EQ(refused.borrow, 0u);
  EXPECT_EQ(table.take(kKey, 1, 10, kStart + 200ms).outcome, Outcome::kUnknown);
}

TEST(LeaseTable, OneIsToldToBorrowAsMuchAsIsUsed) {
  LeaseTable table(16);
  table.borrowed(kKey, {.amount = 60, .remaining = 0, .reset_after = {}, .retry_after = {}}, kStart);
  uint64_t borrow = 0;
  int told = 0;
  for (int i = 0; i < 60; ++i) {
    auto taken = table.take(kKey, 1, 100, kStart + i * 2ms);
    ASSERT_EQ(taken.outcome, Outcome::kTaken);
    told += taken.borrow > 0;
    borrow = std::max(borrow, taken.borrow);
  }
  EXPECT_EQ(told, 1);
  EXPECT_EQ(borrow, 100u) << "a second's worth at 500 a second, but no more than is allowed";
  table.not_borrowed(kKey);
  EXPECT_GT(table.take(kKey, 1, 100, kStart + 121ms).borrow, 0u)
      << "the store did not answer: the next one asks";
}

TEST(LeaseTable, IsExactAcrossThreads) {
  LeaseTable table(16);
  table.borrowed(kKey, {.amount = 50'000, .remaining = 0, .reset_after = {}, .retry_after = {}}, kStart);
  std::atomic<int> taken{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int j = 0; j < 20'000; ++j) taken += table.take(kKey, 1, 10, kStart).outcome == Outcome::kTaken;
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(taken, 50'000);
}

TEST(LeaseTable, KeysMakeRoomForOthers) {
  LeaseTable table(16);
  for (uint64_t i = 1; i < 2000; ++i) {
    CounterKey key{i, i * 0x9e3779b97f4a7c15};
    table.borrowed(key, {.amount = 1, .remaining = 0, .reset_after = {}, .retry_after = {}},
                   kStart + i * 1ms);
    ASSERT_EQ(table.take(key, 1, 1, kStart + i * 1ms).outcome, Outcome::kTaken);
    ASSERT_EQ(table.take(key, 1, 1, kStart + i * 1ms).outcome, Outcome::kUnknown);
  }
}

}  // namespace
}  // namespace sluice::store
