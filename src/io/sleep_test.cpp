#include "io/sleep.h"

#include <gtest/gtest.h>

#include <optional>

#include "io/scope.h"
#include "io/sim/sim_world.h"

namespace sluice::io {
namespace {

using namespace std::chrono_literals;

class SleepTest : public ::testing::Test {
 protected:
  ~SleepTest() override { EXPECT_EQ(scope_.active(), 0u); }
  Task<> nap(Instant until) {
    result_ = co_await sleep_until(loop_, until, token_);
    woke_ = loop_.now();
  }
  Task<> nap_for(Duration duration) {
    result_ = co_await sleep_for(loop_, duration, token_);
    woke_ = loop_.now();
  }

  SimWorld world_;
  SimLoop& loop_ = world_.add_loop();
  Instant start_ = world_.now();
  CancelToken token_;
  std::optional<Result<>> result_;
  Instant woke_{};
  TaskScope scope_;
};

TEST_F(SleepTest, EndsAtItsTimeAndNotBefore) {
  scope_.spawn(nap_for(5s));
  world_.run_for(5s - 1ns);
  EXPECT_FALSE(result_);
  world_.run();
  ASSERT_TRUE(result_);
  EXPECT_TRUE(*result_);
  EXPECT_GE(woke_, start_ + 5s);
  EXPECT_LE(woke_, start_ + 5s + TimerWheel::kTick);
}

TEST_F(SleepTest, PastTimeDoesNotWait) {
  scope_.spawn(nap(start_));
  ASSERT_TRUE(result_) << "it ran on at once";
  EXPECT_TRUE(*result_);
}

TEST_F(SleepTest, CancelEndsItThroughTheQueue) {
  scope_.spawn(nap_for(5s));
  world_.run_for(1s);
  token_.cancel(CancelReason::kDrain);
  EXPECT_FALSE(result_) << "a cancel resumes nobody inline";
  world_.run();
  ASSERT_TRUE(result_ && !*result_);
  EXPECT_EQ(result_->error().code, ErrorCode::kCancelled);
  EXPECT_EQ(woke_, start_ + 1s);
}

TEST_F(SleepTest, UnderACancelledTokenItDoesNotBegin) {
  token_.cancel(CancelReason::kDrain);
  scope_.spawn(nap_for(5s));
  ASSERT_TRUE(result_ && !*result_);
  EXPECT_EQ(result_->error().code, ErrorCode::kCancelled);
}

TEST_F(SleepTest, CancelAtTheInstantItIsDueResumesOnce) {
  scope_.spawn(nap_for(5s));
  world_.run_for(5s - 1ns);
  loop_.post([this] { token_.cancel(CancelReason::kDrain); });
  world_.run();
  EXPECT_TRUE(result_);
}

TEST_F(SleepTest, DeadlineCancelsUnlessItIsGoneBefore) {
  {
    Deadline gone(loop_, start_ + 1s, token_);
    Deadline never(loop_, kNever, token_);
  }
  world_.run_for(2s);
  EXPECT_FALSE(token_.cancelled());
  Deadline deadline(loop_, start_ + 3s, token_, CancelReason::kShed);
  world_.run_for(500ms);
  EXPECT_FALSE(token_.cancelled());
  world_.run();
  EXPECT_EQ(token_.reason(), CancelReason::kShed);
}

}  // namespace
}  // namespace sluice::io
