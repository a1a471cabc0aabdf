// How a worker keeps a RoutePlan alive while exchanges use it: a plain count a plan, no shared counter.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "gateway/plan.h"

namespace sluice::gateway {

/// One a worker. The active snapshot keeps its plans alive; a plan that left it is kept here until the last
/// exchange that began with it has ended.
class PlanPins {
 public:
  void pin(const RoutePlan& plan) {
    if (plan.slot >= counts_.size()) [[unlikely]]
      counts_.resize(plan.slot + 256);
    ++counts_[plan.slot];
  }
  void unpin(const RoutePlan& plan) {
    if (--counts_[plan.slot] == 0 && !retired_.empty()) [[unlikely]]
      release(plan);
  }
  /// `plans` are no longer in the active snapshot.
  void retire(const std::vector<std::shared_ptr<const RoutePlan>>& plans) {
    for (const auto& plan : plans)
      if (plan->slot < counts_.size() && counts_[plan->slot] > 0) retired_.push_back(plan);
  }
  size_t retired() const { return retired_.size(); }

 private:
  void release(const RoutePlan& plan) {
    std::erase_if(retired_, [&](const auto& retired) { return retired.get() == &plan; });
  }
  std::vector<uint32_t> counts_;  // by RoutePlan::slot
  std::vector<std::shared_ptr<const RoutePlan>> retired_;
};

/// Pins a plan for a scope.
class PinnedPlan {
 public:
  PinnedPlan(PlanPins& pins, const RoutePlan& plan) : pins_(pins), plan_(plan) { pins_.pin(plan_); }
  PinnedPlan(const PinnedPlan&) = delete;
  PinnedPlan& operator=(const PinnedPlan&) = delete;
  ~PinnedPlan() { pins_.unpin(plan_); }

 private:
  PlanPins& pins_;
  const RoutePlan& plan_;
};

}  // namespace sluice::gateway
