// Sliding windows: how often each key was seen in the last period, for limits that no period may exceed,
// wherever it begins. One table that all workers share, exact across them, without a lock where a key is
// known.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

#include "base/time.h"
#include "store/rate_table.h"
#include "store/slot_levels.h"

namespace sluice::store {

/// `limit` in any stretch of `period`, counted by ninths of it.
struct WindowRule {
  static constexpr uint64_t kMostLimit = (1 << 24) - 1;

  uint64_t limit;
  Duration part;  // a ninth of the period, rounded up

  /// `count` up to kMostLimit, `period` at least 1 ms.
  static WindowRule of(uint64_t count, Duration period);
};

/// A key has ten counters, one for each ninth that has begun within the last period. Their sum never exceeds
/// the limit, so no period does; a ninth counts until all of it has gone, so that a busy key gets up to a
/// tenth less than its limit. 64 bytes a slot.
class WindowTable {
 public:
  static constexpr uint64_t kDefaultCapacity = 1'048'576;

  explicit WindowTable(uint64_t seed, uint64_t capacity = kDefaultCapacity) : seed_(seed), slots_(capacity) {}

  /// `limit_identity` names the limit the same way across reloads, and with it its rule.
  RateKey key(uint64_t limit_identity, std::string_view text) const;
  /// Asks for `cost` at `now` and takes it if allowed. A refused request changes nothing.
  RateDecision take(const RateKey& key, const WindowRule& rule, Instant now, uint32_t cost = 1);
  /// What `take` would find, with nothing taken: `remaining` is before it.
  RateDecision peek(const RateKey& key, const WindowRule& rule, Instant now, uint32_t cost = 1) const;

  /// Live keys that had to make room for others, the one nearest to being idle first: only then is a limit
  /// not exact.
  uint64_t evictions() const { return evictions_.load(std::memory_order_relaxed); }

  static constexpr size_t kCounters = 10;

 private:
  struct alignas(64) Slot {
    std::atomic<uint64_t> word;  // generation, number of the newest ninth, sum of the counters
    std::atomic<uint64_t> fingerprint;
    std::atomic<uint64_t> idle_from;            // nanoseconds: nothing counts any more
    std::atomic<uint32_t> counters[kCounters];  // each: the end of its ninth's number, and a count
  };
  static_assert(sizeof(Slot) == 64);

  Slot* find(const RateKey& key) const;
  Slot& insert(const RateKey& key, uint64_t at, uint64_t part);
  static void reset(Slot& slot, uint64_t claimed, uint64_t fingerprint, uint64_t at, uint64_t part);
  static uint64_t current(Slot& slot, const RateKey& key, uint64_t at, uint64_t part);
  static void advance(Slot& slot, uint64_t word, uint64_t number);
  static void count(Slot& slot, uint64_t word, uint64_t number, uint32_t cost);
  static uint64_t gone_by(const Slot& slot, uint64_t word, uint64_t number);
  static RateDecision look(const Slot& slot, const WindowRule& rule, uint64_t sum, uint64_t at,
                           uint32_t cost);

  const uint64_t seed_;
  SlotLevels<Slot> slots_;
  std::mutex inserting_;
  std::atomic<uint64_t> evictions_{0};
};

}  // namespace sluice::store
