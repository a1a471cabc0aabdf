#include "store/window_table.h"

#include <algorithm>
#include <string_view>

#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace sluice::store {

// A slot's word: generation (8 bits; odd while the slot is being emptied), number of the newest ninth (32
// bits), sum (24 bits). Who takes adds to the sum first, by compare-and-swap, and to its ninth's counter
// then; who finds a counter of an older ninth empties it and takes what it held off the sum. So the sum is
// never too small, and becomes exact by itself. A counter: the end of its ninth's number (8 bits), count (24
// bits).
namespace {

constexpr int kSumBits = 24;
constexpr uint64_t kSumMask = (uint64_t{1} << kSumBits) - 1;
constexpr int kNumberBits = 32;
constexpr uint64_t kNumberMask = (uint64_t{1} << kNumberBits) - 1;
constexpr uint64_t kOneGeneration = uint64_t{1} << (kSumBits + kNumberBits);
/// A key is given away when it has been idle for so long: by then every worker's clock says so.
constexpr uint64_t kMaxSkew = 1'000'000'000;

uint64_t nanoseconds_of(Instant now) { return static_cast<uint64_t>(nanoseconds(now.time_since_epoch())); }
uint64_t part_of(const WindowRule& rule) { return static_cast<uint64_t>(nanoseconds(rule.part)); }
uint64_t sum_of(uint64_t word) { return word & kSumMask; }
uint64_t generation_of(uint64_t word) { return word >> (kSumBits + kNumberBits); }
bool is_being_emptied(uint64_t word) { return (word & kOneGeneration) != 0; }
/// Counted so that there are ninths before the first one.
uint64_t number_at(uint64_t at, uint64_t part) { return at / part + WindowTable::kCounters; }
/// When what was counted in it counts no more.
uint64_t end_of(uint64_t number, uint64_t part) { return number * part; }
/// How much later ninth `number` is than the word's; numbers go round.
int64_t later_than(uint64_t word, uint64_t number) {
  return static_cast<int32_t>(static_cast<uint32_t>(number) - static_cast<uint32_t>(word >> kSumBits));
}
uint32_t counter_of(uint64_t number, uint32_t count) {
  return static_cast<uint32_t>(number & 0xff) << kSumBits | count;
}
uint32_t count_of(uint32_t counter) { return counter & static_cast<uint32_t>(kSumMask); }
int counter_later_than(uint32_t counter, uint64_t number) {
  return static_cast<int8_t>(static_cast<uint8_t>(counter >> kSumBits) - static_cast<uint8_t>(number));
}

}  // namespace

WindowRule WindowRule::of(uint64_t count, Duration period) {
  auto whole = static_cast<uint64_t>(nanoseconds(period));
  return {std::min(count, kMostLimit), Duration((whole + 8) / 9)};
}

RateKey WindowTable::key(uint64_t limit_identity, std::string_view text) const {
  XXH128_hash_t hash = XXH3_128bits_withSeed(text.data(), text.size(), mix64(seed_ + limit_identity));
  return {hash.low64, hash.high64};
}

/// Also one that is being emptied.
WindowTable::Slot* WindowTable::find(const RateKey& key) const {
  Slot* found = nullptr;
  slots_.probe(key.place, [&](Slot& slot) {
    if (slot.word.load() == 0) return true;
    if (slot.fingerprint.load() == key.fingerprint) found = &slot;
    return found != nullptr;
  });
  return found;
}

/// Begins a slot anew whose word has been claimed by making its generation odd.
void WindowTable::reset(Slot& slot, uint64_t claimed, uint64_t fingerprint, uint64_t at, uint64_t part) {
  uint64_t number = number_at(at, part);
  slot.fingerprint.store(fingerprint);
  slot.idle_from.store(end_of(number, part));
  for (uint64_t back = 0; back < kCounters; ++back)
    slot.counters[(number - back) % kCounters].store(counter_of(number - back, 0));
  // Never zero: that is an untouched slot.
  uint64_t generation = generation_of(claimed) + 1 & 0xff;
  if (generation == 0) generation = 2;
  slot.word.store(generation << (kSumBits + kNumberBits) | (number & kNumberMask) << kSumBits);
}

WindowTable::Slot& WindowTable::insert(const RateKey& key, uint64_t at, uint64_t part) {
  std::lock_guard lock(inserting_);
  for (;;) {
    if (Slot* known = find(key)) return *known;
    Slot* found = nullptr;
    slots_.probe(key.place, [&](Slot& slot) {
      uint64_t word = slot.word.load();
      bool is_free = word == 0 || (!is_being_emptied(word) && slot.idle_from.load() + kMaxSkew < at);
      if (is_free) found = &slot;
      return is_free;
    });
    if (!found) {
      evictions_.fetch_add(1, std::memory_order_relaxed);
      slots_.probe(key.place, [&](Slot& slot) {
        if (!found || slot.idle_from.load() < found->idle_from.load()) found = &slot;
        return false;
      });
    }
    uint64_t word = found->word.load();
    if (is_being_emptied(word) || !found->word.compare_exchange_strong(word, word + kOneGeneration)) continue;
    reset(*found, word + kOneGeneration, key.fingerprint, at, part);
    return *found;
  }
}

/// The slot's word with the ninth of `at` begun; 0: look again.
uint64_t WindowTable::current(Slot& slot, const RateKey& key, uint64_t at, uint64_t part) {
  uint64_t word = slot.word.load();
  if (is_being_emptied(word) || slot.fingerprint.load() != key.fingerprint) return 0;
  uint64_t number = number_at(at, part);
  if (slot.idle_from.load() <= at) {
    // Nothing counts any more, and numbers may have gone round since.
    if (slot.word.compare_exchange_strong(word, word + kOneGeneration))
      reset(slot, word + kOneGeneration, key.fingerprint, at, part);
    return 0;
  }
  if (later_than(word, number) <= 0) return word;
  advance(slot, word, number);
  return 0;
}

void WindowTable::advance(Slot& slot, uint64_t word, uint64_t number) {
  uint64_t next = (word & ~(kNumberMask << kSumBits)) | (number & kNumberMask) << kSumBits;
  uint64_t passed = std::min<uint64_t>(static_cast<uint64_t>(later_than(word, number)), kCounters);
  if (!slot.word.compare_exchange_strong(word, next)) return;
  for (uint64_t back = 0; back < passed; ++back) count(slot, next, number - back, 0);
}

/// Adds `cost`, which is in the sum already, to the counter of ninth `number`, after emptying it if it was an
/// older one's. `word` tells whose slot it was.
void WindowTable::count(Slot& slot, uint64_t word, uint64_t number, uint32_t cost) {
  std::atomic<uint32_t>& counter = slot.counters[number % kCounters];
  uint32_t seen = counter.load();
  uint32_t gone = 0;
  for (;;) {
    int later = counter_later_than(seen, number);
    if (later > 0) {
      gone = cost;  // so late that its ninth is over
      break;
    }
    uint32_t next = counter_of(number, (later == 0 ? count_of(seen) : 0) + cost);
    if (!counter.compare_exchange_weak(seen, next)) continue;
    gone = later < 0 ? count_of(seen) : 0;
    break;
  }
  uint64_t now = slot.word.load();
  while (gone > 0 && generation_of(now) == generation_of(word) && sum_of(now) >= gone)
    if (slot.word.compare_exchange_weak(now, now - gone)) return;
}

/// How much of the word's sum has gone when ninth `number` begins.
uint64_t WindowTable::gone_by(const Slot& slot, uint64_t word, uint64_t number) {
  uint64_t gone = 0;
  for (int64_t back = 0; back < later_than(word, number); ++back) {
    uint64_t each = number - static_cast<uint64_t>(back);
    uint32_t counter = slot.counters[each % kCounters].load();
    if (counter_later_than(counter, each) < 0) gone += count_of(counter);
  }
  return std::min(gone, sum_of(word));
}

/// What `sum` leaves, and when more comes.
RateDecision WindowTable::look(const Slot& slot, const WindowRule& rule, uint64_t sum, uint64_t at,
                               uint32_t cost) {
  uint64_t part = part_of(rule);
  uint64_t number = number_at(at, part);
  uint64_t room = rule.limit - std::min(rule.limit, sum);
  RateDecision decision{room >= cost, room, Duration::zero(), Duration::max()};
  uint64_t freed = room;
  for (uint64_t back = kCounters; back-- > 0;) {
    uint32_t counter = slot.counters[(number - back) % kCounters].load();
    if (counter_later_than(counter, number - back) != 0 || count_of(counter) == 0) continue;
    freed += count_of(counter);
    decision.reset_after = Duration(end_of(number - back, part) - at);
    if (freed >= cost) decision.retry_after = std::min(decision.retry_after, decision.reset_after);
  }
  if (decision.allowed) decision.retry_after = Duration::zero();
  // Another thread has not counted to its end: soon it can be seen.
  if (cost <= rule.limit && decision.retry_after == Duration::max()) decision.retry_after = rule.part;
  return decision;
}

RateDecision WindowTable::take(const RateKey& key, const WindowRule& rule, Instant now, uint32_t cost) {
  uint64_t at = nanoseconds_of(now);
  uint64_t part = part_of(rule);
  uint64_t number = number_at(at, part);
  for (;;) {
    Slot* slot = find(key);
    if (!slot) slot = &insert(key, at, part);
    uint64_t word = current(*slot, key, at, part);
    if (word == 0) continue;
    uint64_t sum = sum_of(word);
    if (sum + cost > rule.limit) {
      RateDecision decision = look(*slot, rule, sum, at, cost);
      if (slot->word.load() == word) return decision;
      continue;
    }
    // This thread's clock may be a little behind: it counts in the newest ninth.
    uint64_t newest = number - static_cast<uint64_t>(later_than(word, number));
    uint64_t idle_from = end_of(newest, part);
    // Before it is taken, so that nobody takes the slot for idle then.
    if (slot->idle_from.load() < idle_from) slot->idle_from.store(idle_from);
    if (!slot->word.compare_exchange_strong(word, word + cost)) continue;
    count(*slot, word, newest, cost);
    return {true, rule.limit - sum - cost, Duration(idle_from - at), Duration::zero()};
  }
}

RateDecision WindowTable::peek(const RateKey& key, const WindowRule& rule, Instant now, uint32_t cost) const {
  uint64_t at = nanoseconds_of(now);
  for (;;) {
    const Slot* slot = find(key);
    if (!slot) break;
    uint64_t word = slot->word.load();
    if (is_being_emptied(word) || slot->fingerprint.load() != key.fingerprint) continue;
    if (slot->idle_from.load() <= at) break;
    RateDecision decision =
        look(*slot, rule, sum_of(word) - gone_by(*slot, word, number_at(at, part_of(rule))), at, cost);
    if (slot->word.load() == word) return decision;
  }
  bool fits = cost <= rule.limit;
  return {fits, rule.limit, Duration::zero(), fits ? Duration::zero() : Duration::max()};
}

}  // namespace sluice::store
