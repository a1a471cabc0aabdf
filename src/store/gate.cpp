#include "store/gate.h"

#include <algorithm>

#include "io/linked_token.h"
#include "io/sleep.h"

namespace sluice::store {

bool Gate::take_place(uint32_t most_inside) {
  uint32_t inside = inside_.load();
  while (inside < most_inside)
    if (inside_.compare_exchange_weak(inside, inside + 1)) return true;
  return false;
}

bool Gate::try_enter(uint32_t most_inside) {
  // Nobody goes before those who wait.
  return waiting_.load() == 0 && take_place(most_inside);
}

/// Under the mutex: as many of those who wait as there is room for.
void Gate::let_in(uint32_t most_inside) {
  while (!queues_.empty()) {
    if (!take_place(most_inside)) return;
    auto first = queues_.begin();
    std::shared_ptr<Waiter> waiter = std::move(first->second.front());
    first->second.pop_front();
    if (first->second.empty()) queues_.erase(first);
    waiting_.fetch_sub(1);
    waiter->let_in = true;
    waiter->loop.post([waiter] {
      waiter->told = true;
      waiter->signal.tell();
    });
  }
  standing_since_ = kNever;
}

void Gate::leave(uint32_t most_inside) {
  inside_.fetch_sub(1);
  // Who comes to wait looks at the room again after it has been counted: one of us sees the other.
  if (waiting_.load() == 0) return;
  std::lock_guard lock(mutex_);
  let_in(most_inside);
}

bool Gate::remove(const std::shared_ptr<Waiter>& waiter, uint32_t priority) {
  std::lock_guard lock(mutex_);
  if (waiter->let_in) return false;
  auto queue = queues_.find(priority);
  std::erase(queue->second, waiter);
  if (queue->second.empty()) queues_.erase(queue);
  waiting_.fetch_sub(1);
  if (queues_.empty()) standing_since_ = kNever;
  return true;
}

io::Task<Gate::Entry> Gate::enter(io::Loop& loop, Rules rules, uint32_t priority, io::CancelToken& token) {
  auto waiter = std::make_shared<Waiter>(loop);
  Duration patience = rules.most_wait;
  {
    std::lock_guard lock(mutex_);
    if (waiting_.load() >= rules.most_waiting) co_return Entry::kFull;
    if (standing_since_ == kNever) standing_since_ = loop.now();
    bool standing = loop.now() - standing_since_ > rules.most_wait;
    if (standing && rules.target > Duration::zero()) patience = std::min(patience, rules.target);
    queues_[priority].push_back(waiter);
    waiting_.fetch_add(1);
    let_in(rules.most_inside);
  }
  io::LinkedToken turn(token);
  io::Deadline deadline(loop, loop.now() + patience, turn);
  while (!waiter->told && !turn.cancelled()) co_await waiter->signal.wait(turn);
  if (waiter->told) co_return Entry::kInside;
  if (remove(waiter, priority)) co_return token.cancelled() ? Entry::kCancelled : Entry::kTimedOut;
  // It was let in at the last moment, and is not told yet.
  co_return Entry::kInside;
}

std::shared_ptr<Gate> Gates::get(const std::string& identity) {
  std::lock_guard lock(mutex_);
  std::weak_ptr<Gate>& known = gates_[identity];
  std::shared_ptr<Gate> gate = known.lock();
  if (!gate) known = gate = std::make_shared<Gate>();
  std::erase_if(gates_, [](const auto& each) { return each.second.expired(); });
  return gate;
}

}  // namespace sluice::store
