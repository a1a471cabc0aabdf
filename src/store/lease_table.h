// Leases: parts of limits that this gateway has borrowed from a shared store, and may spend without asking
// it.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

#include "base/time.h"
#include "store/counter_slot.h"

namespace sluice::store {

/// Shared by all workers. Taking is lock-free; what is borrowed comes under a mutex.
class LeaseTable {
 public:
  static constexpr uint64_t kDefaultCapacity = 1'048'576;
  /// What is borrowed and not spent by then is lost; so is what nobody wants any more.
  static constexpr Duration kLifetime = std::chrono::seconds(2);

  explicit LeaseTable(uint64_t capacity = kDefaultCapacity) : slots_(capacity) {}

  struct Taken {
    enum class Outcome : uint8_t {
      kTaken,
      kRefused,  // the store has said so not long ago
      kUnknown,  // more must be borrowed
    };
    Outcome outcome = Outcome::kUnknown;
    uint64_t remaining = 0;  // of the whole limit, as far as is known here
    Duration reset_after{};
    Duration retry_after{};
    uint64_t borrow = 0;  // not zero: the first to see that little is left, and so much should be borrowed
  };
  /// `most`: what may be borrowed at once.
  Taken take(const CounterKey& key, uint64_t cost, uint64_t most, Instant now);
  /// Undoes a `take`.
  void give_back(const CounterKey& key, uint64_t cost);

  struct Borrowed {
    uint64_t amount = 0;
    uint64_t remaining = 0;  // in the store
    Duration reset_after{};
    Duration retry_after{};  // when `amount` is 0
  };
  void borrowed(const CounterKey& key, const Borrowed& borrowed, Instant now);
  /// The store did not answer: another one may ask.
  void not_borrowed(const CounterKey& key);

 private:
  /// Instants are nanoseconds of the loops' clock.
  struct Slot : CounterSlot {  // what may be spent
    std::atomic<int64_t> expires;
    std::atomic<int64_t> refused_until;
    std::atomic<int64_t> full_at;  // when the whole limit is there again
    std::atomic<uint64_t> remaining;
    std::atomic<uint64_t> batch;  // what was borrowed last
    std::atomic<uint32_t> asked;
    std::atomic<uint32_t> spent;  // since `spent_from`
    std::atomic<int64_t> spent_from;
  };
  using Seen = SeenCounter<Slot>;

  Seen find(const CounterKey& key) const { return find_counter(slots_, key); }
  Slot& place_for(const CounterKey& key, int64_t now);
  static uint64_t wanted(Slot& slot, uint64_t most, int64_t now);

  SlotLevels<Slot> slots_;
  std::mutex writing_;
};

}  // namespace sluice::store
