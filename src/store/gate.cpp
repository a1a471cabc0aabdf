#include "store/gate.h"

#include <algorithm>

#include "io/linked_token.h"
#include "io/sleep.h"

namespace sluice::store {

void Gate::set_bound(uint32_t most_inside) {
  if (most_inside_.load() != most_inside) most_inside_.store(most_inside);
}

bool Gate::take_place() {
  uint32_t inside = inside_.load();
  while (inside < most_inside_.load())
    if (inside_.compare_exchange_weak(inside, inside + 1)) return true;
  return false;
}

bool Gate::try_enter(uint32_t most_inside) {
  set_bound(most_inside);
  // Nobody goes before those who wait.
  return waiting_.load() == 0 && take_place();
}

/// Under the mutex: as many of those who wait as there is room for.
void Gate::let_in() {
  while (!queues_.empty()) {
    if (!take_place()) return;
    auto first = queues_.begin();
    std::shared_ptr<Turn> turn = std::move(first->second.front());
    first->second.pop_front();
    if (first->second.empty()) queues_.erase(first);
    waiting_.fetch_sub(1);
    turn->let_in = true;
    turn->loop.post([turn] {
      turn->has_come = true;
      turn->signal.tell();
    });
  }
  standing_since_ = kNever;
}

void Gate::leave() {
  inside_.fetch_sub(1);
  // Who comes to wait looks at the room again after it has been counted: one of us sees the other.
  if (waiting_.load() == 0) return;
  std::lock_guard lock(mutex_);
  let_in();
}

std::shared_ptr<Gate::Turn> Gate::queue(io::Loop& loop, const Rules& rules, uint32_t priority) {
  set_bound(rules.most_inside);
  auto turn = std::make_shared<Turn>(loop, priority);
  std::lock_guard lock(mutex_);
  if (waiting_.load() >= rules.most_waiting) return nullptr;
  if (standing_since_ == kNever) standing_since_ = loop.now();
  queues_[priority].push_back(turn);
  waiting_.fetch_add(1);
  let_in();
  return turn;
}

bool Gate::withdraw(const std::shared_ptr<Turn>& turn) {
  std::lock_guard lock(mutex_);
  if (turn->let_in) return true;
  auto queue = queues_.find(turn->priority);
  std::erase(queue->second, turn);
  if (queue->second.empty()) queues_.erase(queue);
  waiting_.fetch_sub(1);
  if (queues_.empty()) standing_since_ = kNever;
  return false;
}

Duration Gate::patience(const Rules& rules, Instant now) {
  std::lock_guard lock(mutex_);
  bool standing = standing_since_ != kNever && now - standing_since_ > rules.most_wait;
  bool short_of_it = standing && rules.target > Duration::zero();
  return short_of_it ? std::min(rules.most_wait, rules.target) : rules.most_wait;
}

io::Task<Gate::Entry> Gate::enter(io::Loop& loop, Rules rules, uint32_t priority, io::CancelToken& token) {
  std::shared_ptr<Turn> turn = queue(loop, rules, priority);
  if (!turn) co_return Entry::kFull;
  io::LinkedToken waiting(token);
  io::Deadline deadline(loop, loop.now() + patience(rules, loop.now()), waiting);
  while (!turn->has_come && !waiting.cancelled()) co_await turn->signal.wait(waiting);
  // It may have been let in at the last moment, and not be told yet.
  if (turn->has_come || withdraw(turn)) co_return Entry::kInside;
  co_return token.cancelled() ? Entry::kCancelled : Entry::kTimedOut;
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
