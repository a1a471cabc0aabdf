#include "gateway/queue_delay.h"

#include <gtest/gtest.h>

namespace sluice::gateway {
namespace {

using namespace std::chrono_literals;

constexpr Duration kTarget = 50ms;
constexpr Duration kLate = 51ms;

class QueueDelayTest : public ::testing::Test {
 protected:
  /// `count` requests of one delay, a millisecond apart; how many are shed.
  int begin(int count, Duration delay) {
    int shed = 0;
    for (; count > 0; --count, now += 1ms) shed += queue.sheds(delay, kTarget, now) ? 1 : 0;
    return shed;
  }
  QueueDelay queue;
  Instant now{1000s};
};

TEST_F(QueueDelayTest, ABurstThatIsWorkedOffIsNoOverload) {
  EXPECT_EQ(begin(500, 0ms), 0);
  EXPECT_EQ(begin(200, 500ms) + begin(300, 10ms) + begin(500, 0ms), 0);
}

TEST_F(QueueDelayTest, AQueueThatStandsForAnIntervalIsShed) {
  EXPECT_EQ(begin(500, kLate), 0);  // the first interval only judges
  EXPECT_EQ(begin(500, kLate), 500);
}

// What came just now is served: shedding shortens the queue and never empties it.
TEST_F(QueueDelayTest, WhileBehindOnlyLateRequestsAreShed) {
  begin(500, kLate);
  for (int i = 0; i < 500; ++i) {
    EXPECT_EQ(begin(1, kTarget), 0);
    EXPECT_EQ(begin(1, kLate), 1);
  }
}

TEST_F(QueueDelayTest, ItEndsWhenHardlyAnyRequestIsLate) {
  begin(500, kLate);
  EXPECT_EQ(begin(50, kLate), 50);
  EXPECT_EQ(begin(951, 0ms), 0);
  EXPECT_FALSE(queue.behind());
  EXPECT_EQ(begin(1, kLate), 0);
}

TEST_F(QueueDelayTest, FewLateRequestsAreChance) {
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(begin(3, kLate), 0);
    now += 600ms;
  }
}

// A turn of the loop may last longer than an interval, and within it `now` stands still.
TEST_F(QueueDelayTest, LongTurnsAreJudgedToo) {
  auto turn = [&] {
    int shed = 0;
    for (int i = 0; i < 256; ++i) shed += queue.sheds(kLate, kTarget, now) ? 1 : 0;
    now += 1300ms;
    return shed;
  };
  turn();
  turn();
  EXPECT_EQ(turn(), 256);
}

TEST_F(QueueDelayTest, WhatWasLongAgoSaysNothing) {
  begin(600, kLate);
  EXPECT_TRUE(queue.behind());
  now += 10s;
  EXPECT_EQ(begin(1, kLate), 0);
  EXPECT_FALSE(queue.behind());
}

TEST_F(QueueDelayTest, MeasuresSeldomUntilItIsBehind) {
  int samples = 0;
  for (int i = 0; i < 1600; ++i) samples += queue.wants_sample(now) ? 1 : 0;
  EXPECT_LE(samples, 101);
  EXPECT_GE(samples, 100);
  now += 1ms;
  EXPECT_TRUE(queue.wants_sample(now));
  EXPECT_FALSE(queue.wants_sample(now));
  begin(600, kLate);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(queue.wants_sample(now));
}

}  // namespace
}  // namespace sluice::gateway
