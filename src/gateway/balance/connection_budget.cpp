#include "gateway/balance/connection_budget.h"

#include <algorithm>

namespace sluice::gateway {

std::shared_ptr<ConnectionBudget::Member> ConnectionBudget::join(io::Loop& loop, Pool& pool) {
  auto member = std::make_shared<Member>(loop, &pool);
  std::lock_guard lock(mutex_);
  members_.push_back(member);
  return member;
}

void ConnectionBudget::leave(Member& member) {
  std::lock_guard lock(mutex_);
  member.pool = nullptr;
  std::erase_if(members_, [&](const auto& each) { return each.get() == &member; });
}

void ConnectionBudget::ask_to_spare(const Member& asking) {
  std::lock_guard lock(mutex_);
  for (const auto& member : members_) {
    if (member.get() == &asking || member->idle.load(std::memory_order_relaxed) == 0) continue;
    member->loop.post([member] {
      if (member->pool) member->pool->spare_one();
    });
    return;
  }
}

}  // namespace sluice::gateway
