// What has been spent of calendar quotas: one table that all workers share, in memory, each counter with the
// part of its quota that is durable already and may be spent without asking anybody.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "store/counter_slot.h"

namespace sluice::store {

/// Open-addressed, keyed by hash. Taking is lock-free; what is granted and new counters come under a mutex,
/// once for many requests. A counter whose period has ended makes room for another. Forty bytes each.
class QuotaTable {
 public:
  static constexpr uint64_t kDefaultCapacity = 1'048'576;
  static constexpr uint64_t kMostSpent = uint64_t{1} << 47;

  explicit QuotaTable(uint64_t capacity = kDefaultCapacity) : slots_(capacity) {}

  struct Taken {
    enum class Outcome : uint8_t {
      kTaken,
      kSpent,    // of `limit` less than the cost is left
      kUnknown,  // more must be granted first
    };
    Outcome outcome;
    uint64_t spent = 0;      // after this
    int64_t period_end = 0;  // of the counter: the one asked for, or a later one when the clock went back
    bool low = false;        // the first to see that less than half of `block` is left: more is to be granted
  };
  /// `limit` up to kMostSpent; `block`: how much is granted at a time.
  Taken take(const CounterKey& key, int64_t period_end, uint64_t limit, uint64_t block, uint64_t cost);
  /// The same with nothing taken.
  Taken peek(const CounterKey& key, int64_t period_end, uint64_t limit, uint64_t cost) const;
  /// Counts up to the limit what has been used already. True: it is more than was granted.
  bool charge(const CounterKey& key, int64_t period_end, uint64_t limit, uint64_t cost);
  /// Undoes a `take` of the same period.
  void give_back(const CounterKey& key, int64_t period_end, uint64_t cost);
  /// Granted after a `take` said that it is low: another one may say so again.
  void granted(const Grant& grant, int64_t now);
  /// Only this part of a quota, without anything durable: the disk does not answer.
  void grant_unwritten(const CounterKey& key, int64_t period_end, uint64_t amount, int64_t now);

  /// Up to where that has been granted in this very period; 0: nothing.
  uint64_t granted_until(const CounterKey& key, int64_t period_end) const;

  /// What was granted in periods that still run, with what is left of it. While nobody takes.
  std::vector<Unspent> unspent(int64_t now) const;
  /// Counters of running periods that had to make room for others. They are as exact as before, for they come
  /// back from what is durable; what was granted to them and not spent is lost.
  uint64_t evictions() const { return evictions_.load(std::memory_order_relaxed); }

 private:
  struct Slot : CounterSlot {  // what is spent
    std::atomic<uint64_t> granted;
    std::atomic<int64_t> period_end;
  };
  using Seen = SeenCounter<Slot>;

  Seen find(const CounterKey& key) const { return find_counter(slots_, key); }
  static Taken look(const Seen& seen, int64_t period_end, uint64_t limit, uint64_t cost);
  Slot& place_for(const CounterKey& key, int64_t now);
  static void rewrite(Slot& slot, const CounterKey& key, int64_t period_end, uint64_t spent,
                      uint64_t granted);

  SlotLevels<Slot> slots_;
  std::mutex writing_;
  uint64_t next_victim_ = 0;
  std::atomic<uint64_t> evictions_{0};
};

}  // namespace sluice::store
