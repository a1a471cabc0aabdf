#include "io/cancel.h"

#include <gtest/gtest.h>

#include <optional>

#include "io/linked_token.h"
#include "io/scope.h"
#include "io/sim/sim_world.h"
#include "io/sleep.h"

namespace sluice::io {
namespace {

using namespace std::chrono_literals;

class Counted final : public Cancellable {
 public:
  int cancels = 0;

 private:
  void on_cancel() override { ++cancels; }
};

TEST(CancelToken, FirstReasonStays) {
  CancelToken token;
  Counted bound;
  bound.bind(token);
  token.cancel(CancelReason::kDrain);
  token.cancel(CancelReason::kDeadline);
  EXPECT_EQ(token.reason(), CancelReason::kDrain);
  EXPECT_EQ(bound.cancels, 1);
  EXPECT_TRUE(bound.cancelled());
}

TEST(CancelToken, UnboundIsNotTold) {
  CancelToken token;
  Counted bound;
  bound.bind(token);
  bound.unbind();
  token.cancel(CancelReason::kDrain);
  EXPECT_EQ(bound.cancels, 0);
  EXPECT_FALSE(bound.cancelled());
}

TEST(CancelToken, BindingMovesToTheNewToken) {
  CancelToken first, second;
  Counted bound;
  bound.bind(first);
  bound.bind(second);
  first.cancel(CancelReason::kDrain);
  EXPECT_EQ(bound.cancels, 0);
  second.cancel(CancelReason::kDrain);
  EXPECT_EQ(bound.cancels, 1);
}

TEST(CancelToken, GoingUnbindsWhatIsBound) {
  Counted bound;
  {
    CancelToken token;
    bound.bind(token);
    token.cancel(CancelReason::kDrain);
  }
  EXPECT_FALSE(bound.cancelled());
}

TEST(CancelToken, ResetMakesItUsableAgain) {
  CancelToken token;
  Counted bound;
  bound.bind(token);
  token.cancel(CancelReason::kDrain);
  token.reset();
  EXPECT_FALSE(bound.cancelled());
  token.cancel(CancelReason::kDeadline);
  EXPECT_EQ(bound.cancels, 2);
}

TEST(LinkedToken, FollowsItsParentAndNotTheOtherWay) {
  CancelToken parent;
  LinkedToken one(parent), other(parent);
  one.cancel(CancelReason::kShed);
  EXPECT_FALSE(parent.cancelled());
  parent.cancel(CancelReason::kClientGone);
  EXPECT_EQ(one.reason(), CancelReason::kShed);
  EXPECT_EQ(other.reason(), CancelReason::kClientGone);
  LinkedToken late(parent);
  EXPECT_EQ(late.reason(), CancelReason::kClientGone);
}

Task<> sleep_one(Loop& loop, CancelToken& token, std::optional<Result<>>& result) {
  result = co_await sleep_for(loop, 10s, token);
}

TEST(Sleep, EndsWithItsToken) {
  SimWorld world;
  SimLoop& loop = world.add_loop();
  CancelToken token;
  TaskScope scope;
  std::optional<Result<>> result;
  scope.spawn(sleep_one(loop, token, result));
  world.run_for(1s);
  token.cancel(CancelReason::kRevoked);
  EXPECT_FALSE(result) << "a cancel resumes nobody inline";
  Instant cancelled_at = world.now();
  world.run();
  ASSERT_TRUE(result && !*result);
  EXPECT_EQ(result->error().code, ErrorCode::kCancelled);
  EXPECT_EQ(world.now(), cancelled_at);
  result.reset();
  scope.spawn(sleep_one(loop, token, result));
  EXPECT_TRUE(result && !*result) << "no wait under a cancelled token";
}

TEST(Deadline, CancelsUnlessItGoesBefore) {
  SimWorld world;
  SimLoop& loop = world.add_loop();
  CancelToken kept, missed;
  {
    Deadline deadline(loop, loop.now() + 1s, kept);
  }
  Deadline deadline(loop, loop.now() + 1s, missed);
  world.run();
  EXPECT_FALSE(kept.cancelled());
  EXPECT_EQ(missed.reason(), CancelReason::kDeadline);
}

}  // namespace
}  // namespace sluice::io
