#include "store/epoch.h"

#include <algorithm>

namespace sluice::store {

uint64_t EpochDomain::passed() const {
  uint64_t oldest = now_.load(std::memory_order_seq_cst);
  // Pairs with the fence in online(): either we see the reader, or it sees what the writer published.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  std::lock_guard lock(mutex_);
  for (const auto& slot : slots_) {
    uint64_t seen = slot->seen.load(std::memory_order_acquire);
    if (seen != kOffline) oldest = std::min(oldest, seen);
  }
  return oldest;
}

EpochReader::EpochReader(EpochDomain& domain) : domain_(domain) {
  std::lock_guard lock(domain.mutex_);
  slot_ = domain.slots_.emplace_back(std::make_unique<EpochDomain::Slot>()).get();
}

EpochReader::~EpochReader() {
  std::lock_guard lock(domain_.mutex_);
  std::erase_if(domain_.slots_, [&](const auto& slot) { return slot.get() == slot_; });
}

RetireList::~RetireList() {
  while (!waiting_.empty()) {
    auto dispose = std::move(waiting_.front().dispose);
    waiting_.pop_front();
    dispose();
  }
}

void RetireList::retire(std::move_only_function<void()> dispose) {
  waiting_.push_back({domain_.advance(), std::move(dispose)});
}

size_t RetireList::collect() {
  if (waiting_.empty()) return 0;
  uint64_t passed = domain_.passed();
  size_t disposed = 0;
  for (; !waiting_.empty() && waiting_.front().epoch <= passed; ++disposed) {
    auto dispose = std::move(waiting_.front().dispose);
    waiting_.pop_front();
    dispose();
  }
  return disposed;
}

}  // namespace sluice::store
