// The state of every rate limit of the process: one table that all workers share, exact across them, without
// a lock and with a fixed ceiling of memory. Algorithms: GCRA (ITU-T I.371) and
// fixed windows, which need one instant a key.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "store/zeroed_pages.h"

namespace sluice::store {

/// Who is limited by what, as a hash. Made by `RateTable::key`.
struct RateKey {
  uint64_t fingerprint;  // tells apart what shares a place
  uint64_t place;        // where to look
};

/// A rate as it is counted. By GCRA `100/1m` with a burst of 100 is a full bucket of 100, to which one comes
/// back every 600 ms; in fixed windows 100 from each minute of the clock to the next.
struct RateRule {
  Duration interval;   // time that one request costs; at least 1 ns
  Duration tolerance;  // burst * interval: how far ahead of now a key may have spent
  Duration window{};   // not zero: fixed windows, each with `tolerance` to spend; at least that long

  /// `count` a `period`, at most `burst` at once; all at least 1. The interval is rounded up, so that the
  /// rate is never exceeded; the product of interval and burst is capped at kMaxTolerance.
  static RateRule of(uint64_t count, Duration period, uint64_t burst);
  /// `count` in each window of `period`; of more than one a nanosecond, one a nanosecond.
  static RateRule fixed_window(uint64_t count, Duration period);
  static constexpr Duration kMaxTolerance = std::chrono::hours(24 * 366 * 10);
};

struct RateDecision {
  bool allowed;
  uint64_t remaining;    // requests of cost 1 that would be allowed right now, after this one
  Duration reset_after;  // until the full burst is there again, or the window ends
  Duration retry_after;  // 0 when allowed; when refused, until this cost fits; Duration::max(): it never fits
};

/// Open-addressed, keyed by hash. A slot is a fingerprint and a "theoretical arrival time" (TAT): the instant
/// at which the key will have its full burst again. A TAT in the past says the same as no entry, so nothing
/// is ever removed: such a slot is simply taken by the next new key that meets it.
///
/// Memory is reserved at once and costs only what was touched; the probe begins in a small level and goes on
/// to larger ones as these fill up, so a process with few keys stays small. When every slot that a new key
/// may use is live, the one nearest to its full burst is taken and counted in `evictions()`; only then is a
/// limit not exact.
///
/// Instants of different workers may differ by up to kMaxSkew without any effect on exactness.
class RateTable {
 public:
  static constexpr uint64_t kDefaultCapacity = 1'048'576;
  /// A slot is reused only when its TAT is this long past, so that a worker whose clock reading is older
  /// still finds it. Longer than any loop turn.
  static constexpr Duration kMaxSkew = std::chrono::seconds(1);

  /// For `capacity` live keys. `seed` is random for each process, so that nobody can aim keys at one place.
  explicit RateTable(uint64_t seed, uint64_t capacity = kDefaultCapacity);
  RateTable(const RateTable&) = delete;
  RateTable& operator=(const RateTable&) = delete;

  /// `limit_identity` names the limit the same way across reloads: its level, policy id and, since a TAT
  /// means something only at one rate, interval and tolerance.
  RateKey key(uint64_t limit_identity, std::string_view text) const;

  /// Asks for `cost` at `now` (not negative) and takes it if allowed. A refused request changes nothing.
  RateDecision take(const RateKey& key, const RateRule& limit, Instant now, uint32_t cost = 1);
  /// What `take` would find, with nothing taken: `allowed` and `retry_after` are for `cost`, `remaining` is
  /// before it.
  RateDecision peek(const RateKey& key, const RateRule& limit, Instant now, uint32_t cost = 1) const;

  /// Live keys that had to make room for others.
  uint64_t evictions() const { return evictions_.load(std::memory_order_relaxed); }
  /// Bytes of address space; the resident part grows with the keys.
  size_t reserved_bytes() const;

 private:
  struct Slot {
    std::atomic<uint64_t> tat;  // nanoseconds, or a state; see rate_table.cpp
    std::atomic<uint64_t> fingerprint;
  };
  struct Level {
    ZeroedPages memory;
    Slot* slots;
    uint64_t mask;
  };
  class Probe;
  struct Found;
  static RateDecision decide_in_window(uint64_t tat, const RateRule& rule, uint64_t at, uint32_t cost,
                                       uint64_t& next);
  enum class Insertion : uint8_t { kDone, kAgain };

  static RateDecision decide(uint64_t tat, const RateRule& limit, Instant now, uint32_t cost, uint64_t& next);
  Found find(const RateKey& key, Instant now) const;
  Insertion insert(const RateKey& key, Slot& victim, uint64_t seen, uint64_t tat);
  /// Gives another thread's insertion a moment to end, then undoes it.
  static void settle(Slot& slot, uint64_t announced);

  const uint64_t seed_;
  std::vector<Level> levels_;
  alignas(64) std::atomic<uint64_t> claims_ = 0;
  std::atomic<uint64_t> evictions_ = 0;
};

}  // namespace sluice::store
