#include "gateway/plan_pins.h"

#include <gtest/gtest.h>

namespace sluice::gateway {
namespace {

class PlanPinsTest : public ::testing::Test {
 protected:
  std::shared_ptr<const RoutePlan> make() { return std::make_shared<const RoutePlan>(slots_); }

  std::shared_ptr<SlotAllocator> slots_ = std::make_shared<SlotAllocator>();
  PlanPins pins_;
};

TEST_F(PlanPinsTest, KeepsARetiredPlanUntilTheLastPinIsGone) {
  auto plan = make();
  std::weak_ptr<const RoutePlan> alive = plan;
  const RoutePlan& pinned = *plan;
  pins_.pin(pinned);
  pins_.pin(pinned);
  pins_.retire({plan});
  plan.reset();
  EXPECT_EQ(pins_.retired(), 1u);
  pins_.unpin(pinned);
  EXPECT_FALSE(alive.expired());
  pins_.unpin(pinned);
  EXPECT_TRUE(alive.expired());
  EXPECT_EQ(pins_.retired(), 0u);
}

TEST_F(PlanPinsTest, DoesNotKeepARetiredPlanThatNobodyUses) {
  auto used_before = make();
  auto never_used = make();
  {
    PinnedPlan pin(pins_, *used_before);
  }
  pins_.retire({used_before, never_used});
  EXPECT_EQ(pins_.retired(), 0u);
}

TEST_F(PlanPinsTest, AnotherPlansPinsDoNotCount) {
  auto first = make();
  auto second = make();
  std::weak_ptr<const RoutePlan> alive = first;
  {
    PinnedPlan pin(pins_, *first);
    pins_.retire({first});
    first.reset();
    {
      PinnedPlan other(pins_, *second);
    }
    EXPECT_FALSE(alive.expired());
  }
  EXPECT_TRUE(alive.expired());
}

TEST_F(PlanPinsTest, ASlotIsUsedAgainOnlyOnceItsPlanIsGone) {
  auto first = make();
  uint32_t slot = first->slot;
  auto second = make();
  EXPECT_NE(second->slot, slot);
  const RoutePlan& pinned = *first;
  pins_.pin(pinned);
  pins_.retire({first});
  first.reset();
  EXPECT_NE(make()->slot, slot) << "the pin keeps it";
  pins_.unpin(pinned);
  auto third = make();
  EXPECT_EQ(third->slot, slot);
  {
    PinnedPlan pin(pins_, *third);
    EXPECT_EQ(pins_.retired(), 0u) << "its counts begin at zero";
  }
}

TEST_F(PlanPinsTest, CountsPlansWithAnySlot) {
  std::vector<std::shared_ptr<const RoutePlan>> plans;
  for (int i = 0; i < 1000; ++i) plans.push_back(make());
  const RoutePlan& last = *plans.back();
  pins_.pin(last);
  pins_.retire(plans);
  EXPECT_EQ(pins_.retired(), 1u);
  pins_.unpin(last);
  EXPECT_EQ(pins_.retired(), 0u);
}

}  // namespace
}  // namespace sluice::gateway
