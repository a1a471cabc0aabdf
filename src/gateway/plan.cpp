#include "gateway/plan.h"

namespace sluice::gateway {

uint32_t SlotAllocator::take() {
  std::lock_guard lock(mutex_);
  if (free_.empty()) return next_++;
  uint32_t slot = free_.back();
  free_.pop_back();
  return slot;
}

void SlotAllocator::give_back(uint32_t slot) {
  std::lock_guard lock(mutex_);
  free_.push_back(slot);
}

}  // namespace sluice::gateway
