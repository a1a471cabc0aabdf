#include "io/timer.h"

#include <algorithm>
#include <bit>

namespace sluice::io {

namespace {
// The tick at whose handling a deadline has passed: rounded up, so that nothing fires early.
uint64_t tick_of(Instant deadline) {
  int64_t ns = deadline.time_since_epoch().count();
  if (ns <= 0) return 0;
  return (static_cast<uint64_t>(ns) + TimerWheel::kTick.count() - 1) /
         static_cast<uint64_t>(TimerWheel::kTick.count());
}
}  // namespace

void TimerWheel::arm(Timer& timer, Instant deadline) {
  timer.unlink();
  timer.deadline_ = deadline;
  place(timer);
}

void TimerWheel::place(Timer& timer) {
  uint64_t due = std::max(tick_of(timer.deadline_), tick_);
  // The level is given by the highest bit in which the due tick differs from the current one.
  uint64_t differing = due ^ tick_;
  int level = differing ? (63 - std::countl_zero(differing)) / kSlotBits : 0;
  int slot;
  if (level >= kLevels) {
    level = kLevels - 1;
    int shift = kSlotBits * level;
    // Across the end of the span, but perhaps near: the coarsest level is a ring. What is farther than once
    // around waits in the last slot.
    uint64_t farthest = (tick_ >> shift) + kSlots - 1;
    slot = static_cast<int>(std::min(due >> shift, farthest)) & (kSlots - 1);
  } else {
    slot = static_cast<int>(due >> (kSlotBits * level)) & (kSlots - 1);
  }
  levels_[level].slots[slot].push_back(timer);
  levels_[level].occupied |= uint64_t{1} << slot;
}

Instant TimerWheel::next_due() const {
  // A timer sits in the same block as the current tick at its level, so finer levels come before coarser
  // ones.
  for (int level = 0; level < kLevels; ++level) {
    const Level& at = levels_[level];
    int shift = kSlotBits * level;
    int position = static_cast<int>(tick_ >> shift) & (kSlots - 1);
    for (uint64_t ahead = std::rotr(at.occupied, position); ahead; ahead &= ahead - 1) {
      int distance = std::countr_zero(ahead);
      if (at.slots[(position + distance) & (kSlots - 1)].empty()) continue;  // disarmed since
      uint64_t tick = ((tick_ >> shift) + static_cast<uint64_t>(distance)) << shift;
      return Instant(kTick * static_cast<int64_t>(std::max(tick, tick_)));
    }
  }
  return kNever;
}

void TimerWheel::move_to(uint64_t tick) {
  tick_ = tick;
  // Where a finer level wraps, the timers of the next coarser slot come down.
  for (int level = 1; level < kLevels; ++level) {
    if (tick & ((uint64_t{1} << (kSlotBits * level)) - 1)) break;
    int slot = static_cast<int>(tick >> (kSlotBits * level)) & (kSlots - 1);
    IntrusiveList<Timer> down;
    take_slot(level, slot, down);
    while (!down.empty()) place(down.pop_front());
  }
}

void TimerWheel::take_slot(int level, int slot, IntrusiveList<Timer>& into) {
  into.splice_back(levels_[level].slots[slot]);
  levels_[level].occupied &= ~(uint64_t{1} << slot);
}

void TimerWheel::advance(Instant now) {
  uint64_t last = static_cast<uint64_t>(std::max<int64_t>(now.time_since_epoch().count(), 0) / kTick.count());
  IntrusiveList<Timer> due;
  while (tick_ <= last) {
    Instant next = next_due();
    if (next > Instant(kTick * static_cast<int64_t>(last))) {
      move_to(last + 1);
      break;
    }
    move_to(static_cast<uint64_t>(next.time_since_epoch().count() / kTick.count()));
    take_slot(0, static_cast<int>(tick_) & (kSlots - 1), due);
    move_to(tick_ + 1);
  }
  while (!due.empty()) due.pop_front().on_timer();
}

}  // namespace sluice::io
