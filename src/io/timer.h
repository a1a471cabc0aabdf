// Timers of a loop: a hierarchical timing wheel. Arming and disarming touch one list; a turn looks at due
// slots only.
#pragma once

#include <array>
#include <cstdint>

#include "base/intrusive_list.h"
#include "base/time.h"

namespace sluice::io {

/// Something that happens at an instant, unless it is disarmed. Disarms itself when destroyed.
class Timer : public ListHook {
 public:
  bool armed() const { return linked(); }
  Instant deadline() const { return deadline_; }
  void disarm() { unlink(); }

 protected:
  ~Timer() = default;
  /// Called by the loop at the first turn at or after the deadline; the timer is disarmed and may be armed
  /// again.
  virtual void on_timer() = 0;

 private:
  friend class TimerWheel;
  Instant deadline_{};
};

/// Varghese and Lauck, "Hashed and Hierarchical Timing Wheels" (1987): six levels of 64 slots, one
/// millisecond the finest, 2^36 ms (two years) the span; a later deadline waits in the last slot and is
/// looked at again. No timer fires early; it fires at most one millisecond after its deadline.
class TimerWheel {
 public:
  static constexpr Duration kTick = std::chrono::milliseconds(1);

  /// Arms, or arms anew.
  void arm(Timer& timer, Instant deadline);
  /// Fires everything that is due at `now`, which never goes back.
  void advance(Instant now);
  /// No timer fires before this; kNever when there is none. May be early by a slot of a coarse level.
  Instant next_due() const;

 private:
  static constexpr int kLevels = 6;
  static constexpr int kSlotBits = 6;
  static constexpr int kSlots = 1 << kSlotBits;
  struct Level {
    std::array<IntrusiveList<Timer>, kSlots> slots;
    uint64_t occupied = 0;  // bit i: slot i may hold timers
  };

  void place(Timer& timer);
  void move_to(uint64_t tick);
  void take_slot(int level, int slot, IntrusiveList<Timer>& into);

  std::array<Level, kLevels> levels_;
  uint64_t tick_ = 0;  // every tick before this one has been handled
};

}  // namespace sluice::io
