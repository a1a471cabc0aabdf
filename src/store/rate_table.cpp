#include "store/rate_table.h"

#include <algorithm>
#include <bit>
#include <cassert>

#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace sluice::store {

// What a slot's first word says. Only its owner, between kClaimed and kAnnounced, writes the fingerprint;
// everybody else may rely on it only if the word is the same before and after reading it. Words never repeat
// in a slot: a TAT is replaced by a later one, a slot changes its key only when its TAT is long past, and
// claims are numbered.
namespace {

constexpr uint64_t kUntouched = 0;                  // ends every probe; never comes back
constexpr uint64_t kFreed = 1;                      // holds nothing, whatever its fingerprint says
constexpr uint64_t kClaimed = uint64_t{1} << 63;    // | number: its fingerprint is being replaced
constexpr uint64_t kAnnounced = uint64_t{1} << 62;  // | number: a new key, not yet known to be the only one

constexpr bool is_claimed(uint64_t word) { return (word & kClaimed) != 0; }
constexpr bool is_announced(uint64_t word) { return (word & kAnnounced) != 0; }
constexpr bool is_tat(uint64_t word) { return word > kFreed && !(word & (kClaimed | kAnnounced)); }

constexpr size_t kLineSlots = 4;
constexpr uint64_t kFirstLevelSlots = 8192;  // 128 KiB
constexpr uint64_t kLevelGrowth = 16;
/// Slots that a key may use in a level. In the last one more, since there is nowhere to go on to.
constexpr size_t kWindow = 8;
constexpr size_t kLastWindow = 32;
/// Looks at another's unfinished insertion before it is undone; finishing one takes some 50 ns.
constexpr int kPatience = 256;

uint64_t to_nanoseconds(Instant now) { return static_cast<uint64_t>(nanoseconds(now.time_since_epoch())); }

}  // namespace

RateRule RateRule::of(uint64_t count, Duration period, uint64_t burst) {
  assert(count > 0 && period > Duration::zero() && burst > 0);
  auto whole = static_cast<uint64_t>(nanoseconds(period));
  auto most = static_cast<uint64_t>(nanoseconds(kMaxTolerance));
  uint64_t interval = std::clamp<uint64_t>(whole / count + (whole % count != 0), 1, most);
  burst = std::min(burst, most / interval);
  return {Duration(interval), Duration(interval * burst)};
}

RateRule RateRule::fixed_window(uint64_t count, Duration period) {
  assert(count > 0 && period > Duration::zero());
  auto whole = static_cast<uint64_t>(nanoseconds(period));
  count = std::min(count, whole);
  // Rounded down: all of them fit into the window.
  uint64_t interval = whole / count;
  return {Duration(interval), Duration(interval * count), period};
}

/// Walks the slots that a key may use, in the one order that all threads share.
class RateTable::Probe {
 public:
  Probe(const RateTable& table, const RateKey& key) : table_(table), place_(key.place) { enter(0); }

  /// nullptr after the last.
  Slot* next() {
    if (left_ == 0) {
      if (level_ + 1 == table_.levels_.size()) return nullptr;
      enter(level_ + 1);
    }
    --left_;
    return &slots_[at_++ & mask_];
  }

 private:
  void enter(size_t level) {
    const Level& entered = table_.levels_[level];
    size_t from_last = table_.levels_.size() - 1 - level;
    level_ = level;
    slots_ = entered.slots;
    mask_ = entered.mask;
    left_ = from_last == 0 ? kLastWindow : kWindow;
    // Other bits for each level: what shares a window in one must not share it in the next.
    at_ = std::rotr(place_, static_cast<int>(from_last * 21)) * kLineSlots;
  }

  const RateTable& table_;
  uint64_t place_;
  size_t level_;
  Slot* slots_;
  uint64_t mask_;
  uint64_t at_;
  size_t left_;
};

/// Where a key is, or else where it could go.
struct RateTable::Found {
  Slot* slot = nullptr;    // holds the key, or announces it
  Slot* victim = nullptr;  // if there is no `slot`: to be taken; nullptr when all are being changed just now
  uint64_t word = 0;       // of `slot` or else `victim`
};

RateTable::RateTable(uint64_t seed, uint64_t capacity) : seed_(seed) {
  // Twice as many slots as keys: then hardly a window is full before the table is.
  uint64_t slots = std::bit_ceil(std::max<uint64_t>(capacity, 16)) * 2;
  std::vector<uint64_t> sizes{slots};
  while (sizes.back() > kFirstLevelSlots) sizes.push_back(sizes.back() / kLevelGrowth);
  for (uint64_t size : sizes) {
    ZeroedPages memory(size * sizeof(Slot));
    auto* first = static_cast<Slot*>(memory.data());  // an atomic zero is all bits zero
    levels_.insert(levels_.begin(), Level{std::move(memory), first, size - 1});
  }
}

RateKey RateTable::key(uint64_t limit_identity, std::string_view text) const {
  XXH128_hash_t hash = XXH3_128bits_withSeed(text.data(), text.size(), mix64(seed_ + limit_identity));
  return {hash.low64, hash.high64};
}

size_t RateTable::reserved_bytes() const {
  size_t bytes = 0;
  for (const Level& level : levels_) bytes += level.memory.bytes();
  return bytes;
}

/// What was spent stands behind the end of the window, so that the slot is live until then; an instant of an
/// earlier window says that nothing was.
RateDecision RateTable::decide_in_window(uint64_t tat, const RateRule& rule, uint64_t at, uint32_t cost,
                                         uint64_t& next) {
  auto interval = static_cast<uint64_t>(nanoseconds(rule.interval));
  auto tolerance = static_cast<uint64_t>(nanoseconds(rule.tolerance));
  auto window = static_cast<uint64_t>(nanoseconds(rule.window));
  uint64_t end = at - at % window + window;
  uint64_t spent = std::min(tat > end ? tat - end : 0, tolerance);
  uint64_t room = tolerance - spent;
  uint64_t need;
  bool fits_never = __builtin_mul_overflow(interval, uint64_t{cost}, &need) || need > tolerance;
  if (!fits_never && need <= room) {
    next = end + spent + need;
    return {true, (room - need) / interval, Duration(end - at), Duration::zero()};
  }
  return {false, room / interval, Duration(end - at), fits_never ? Duration::max() : Duration(end - at)};
}

/// GCRA: allowed if the TAT, moved on by the cost, is at most the tolerance ahead of now. `next` is that TAT.
RateDecision RateTable::decide(uint64_t tat, const RateRule& limit, Instant now, uint32_t cost,
                               uint64_t& next) {
  auto interval = static_cast<uint64_t>(nanoseconds(limit.interval));
  auto tolerance = static_cast<uint64_t>(nanoseconds(limit.tolerance));
  uint64_t at = to_nanoseconds(now);
  if (limit.window > Duration::zero()) return decide_in_window(tat, limit, at, cost, next);
  uint64_t ahead = tat > at ? tat - at : 0;
  uint64_t room = tolerance > ahead ? tolerance - ahead : 0;
  uint64_t need;
  bool fits_never = __builtin_mul_overflow(interval, uint64_t{cost}, &need) || need > tolerance;
  if (!fits_never && ahead + need <= tolerance) {
    next = at + ahead + need;
    return {true, (room - need) / interval, Duration(ahead + need), Duration::zero()};
  }
  Duration retry_after = fits_never ? Duration::max() : Duration(ahead + need - tolerance);
  return {false, room / interval, Duration(ahead), retry_after};
}

RateTable::Found RateTable::find(const RateKey& key, Instant now) const {
  uint64_t idle_before =
      to_nanoseconds(now) - std::min(to_nanoseconds(now), static_cast<uint64_t>(nanoseconds(kMaxSkew)));
  Found oldest{.word = kClaimed};
  Probe probe(*this, key);
  while (Slot* slot = probe.next()) {
    uint64_t word = slot->tat.load();
    bool untouched = word == kUntouched;
    if (!untouched && word != kFreed && !is_claimed(word)) {
      if (slot->fingerprint.load() == key.fingerprint) return {.slot = slot, .word = word};
      if (is_announced(word)) continue;
    }
    // The first that is free or idle, else the one that would be idle first.
    if (word < oldest.word && (!oldest.victim || oldest.word > idle_before)) {
      oldest.victim = slot;
      oldest.word = word;
    }
    if (untouched) break;
  }
  return oldest;
}

RateDecision RateTable::take(const RateKey& key, const RateRule& limit, Instant now, uint32_t cost) {
  for (;;) {
    Found found = find(key, now);
    uint64_t next;
    if (!found.slot) {
      RateDecision decision = decide(kUntouched, limit, now, cost, next);
      if (!decision.allowed) return decision;
      if (found.victim && insert(key, *found.victim, found.word, next) == Insertion::kDone) {
        if (found.word > to_nanoseconds(now)) evictions_.fetch_add(1, std::memory_order_relaxed);
        return decision;
      }
    } else if (is_announced(found.word)) {
      settle(*found.slot, found.word);
    } else {
      RateDecision decision = decide(found.word, limit, now, cost, next);
      bool still = decision.allowed ? found.slot->tat.compare_exchange_strong(found.word, next)
                                    : found.slot->tat.load() == found.word;
      if (still) return decision;
    }
  }
}

RateDecision RateTable::peek(const RateKey& key, const RateRule& limit, Instant now, uint32_t cost) const {
  Found found = find(key, now);
  uint64_t tat = found.slot && is_tat(found.word) ? found.word : kUntouched;
  uint64_t next;
  RateDecision decision = decide(tat, limit, now, cost, next);
  if (decision.allowed) {
    Duration need = limit.interval * cost;
    decision.remaining += cost;
    if (limit.window == Duration::zero()) decision.reset_after -= need;
  }
  return decision;
}

void RateTable::settle(Slot& slot, uint64_t announced) {
  for (int look = 0; look < kPatience; ++look)
    if (slot.tat.load() != announced) return;
  slot.tat.compare_exchange_strong(announced, kFreed);
}

/// Puts a new key into `victim`, whose word was `seen`. Two threads may do so for one key in different slots,
/// since which slots are idle changes: hence the announcement. Of two announcements the later sees the
/// earlier one, and nobody activates a key while another slot announces it or has it: it undoes that
/// announcement (whose thread then fails to activate and begins anew) or gives up its own.
RateTable::Insertion RateTable::insert(const RateKey& key, Slot& victim, uint64_t seen, uint64_t tat) {
  uint64_t number = claims_.fetch_add(1, std::memory_order_relaxed);
  uint64_t mine = kAnnounced | number;
  if (!victim.tat.compare_exchange_strong(seen, kClaimed | number)) return Insertion::kAgain;
  victim.fingerprint.store(key.fingerprint);
  victim.tat.store(mine);

  bool first = false;  // whether our slot comes before the one we look at
  Probe probe(*this, key);
  while (Slot* slot = probe.next()) {
    if (slot == &victim) {
      first = true;
      continue;
    }
    uint64_t word = slot->tat.load();
    if (word == kUntouched) break;
    while (word != kFreed && !is_claimed(word) && slot->fingerprint.load() == key.fingerprint) {
      bool undone = is_announced(word) && first && slot->tat.compare_exchange_strong(word, kFreed);
      if (undone) break;
      if (is_announced(word) && first) continue;  // it changed: `word` is now what it became
      victim.tat.compare_exchange_strong(mine, kFreed);
      return Insertion::kAgain;
    }
  }
  return victim.tat.compare_exchange_strong(mine, tat) ? Insertion::kDone : Insertion::kAgain;
}

}  // namespace sluice::store
