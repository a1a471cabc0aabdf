#include "store/lease_table.h"

#include <algorithm>

namespace sluice::store {

namespace {

/// So much time's worth is borrowed at once, as it was used of late.
constexpr int64_t kAhead = 1'000'000'000;
/// A refusal is believed no longer: another gateway may give back, or time go faster than promised.
constexpr int64_t kMostBelief = 1'000'000'000;
/// A slot is given away when it has been of no use for so long.
constexpr int64_t kIdle = 2'000'000'000;

int64_t nanoseconds_of(Instant now) { return nanoseconds(now.time_since_epoch()); }

}  // namespace

/// As much as will be spent in that time, at most `most`.
uint64_t LeaseTable::wanted(Slot& slot, uint64_t most, int64_t now) {
  int64_t passed = std::max<int64_t>(now - slot.spent_from.exchange(now), 1);
  uint64_t spent = slot.spent.exchange(0);
  double share = static_cast<double>(kAhead) / static_cast<double>(std::max(passed, kAhead / 20));
  auto amount = static_cast<uint64_t>(static_cast<double>(spent) * share);
  return std::clamp<uint64_t>(amount, 1, std::max<uint64_t>(most, 1));
}

LeaseTable::Taken LeaseTable::take(const CounterKey& key, uint64_t cost, uint64_t most, Instant now) {
  int64_t at = nanoseconds_of(now);
  for (;;) {
    Seen seen = find(key);
    Taken taken;
    if (!seen.slot) return taken;
    Slot& slot = *seen.slot;
    bool good = slot.expires.load() > at;
    uint64_t left = good ? CounterSlot::amount_of(seen.word) : 0;
    taken.remaining = left + slot.remaining.load();
    taken.reset_after = Duration(std::max<int64_t>(slot.full_at.load() - at, 0));
    if (left < cost) {
      int64_t refused = slot.refused_until.load() - at;
      if (refused > 0) {
        taken.outcome = Taken::Outcome::kRefused;
        taken.retry_after = Duration(refused);
      }
    } else {
      if (!slot.word.compare_exchange_strong(seen.word, seen.word - cost)) continue;
      taken.outcome = Taken::Outcome::kTaken;
      taken.remaining -= cost;
      slot.spent.fetch_add(static_cast<uint32_t>(cost), std::memory_order_relaxed);
      left -= cost;
    }
    if (CounterSlot::generation_of(slot.word.load()) != CounterSlot::generation_of(seen.word)) continue;
    bool low =
        taken.outcome != Taken::Outcome::kRefused && left * 2 < std::max<uint64_t>(slot.batch.load(), 1);
    if (low && slot.refused_until.load() <= at && slot.asked.exchange(1) == 0)
      taken.borrow = wanted(slot, most, at);
    return taken;
  }
}

void LeaseTable::give_back(const CounterKey& key, uint64_t cost) {
  Seen seen = find(key);
  while (seen.slot && !seen.slot->word.compare_exchange_strong(seen.word, seen.word + cost)) seen = find(key);
}

LeaseTable::Slot& LeaseTable::place_for(const CounterKey& key, int64_t now) {
  if (Seen seen = find(key); seen.slot) return *seen.slot;
  Slot* found = nullptr;
  slots_.probe(key.low, [&](Slot& slot) {
    bool better = !found || slot.expires.load() < found->expires.load();
    if (better) found = &slot;
    bool is_free = slot.word.load() == 0 || slot.expires.load() + kIdle < now;
    if (is_free) found = &slot;
    return is_free;
  });
  found->close();
  found->expires.store(now);
  found->refused_until.store(0);
  found->batch.store(0);
  found->asked.store(0);
  found->spent.store(0);
  found->spent_from.store(now);
  found->open(key, 0);
  return *found;
}

void LeaseTable::borrowed(const CounterKey& key, const Borrowed& borrowed, Instant now) {
  int64_t at = nanoseconds_of(now);
  std::lock_guard lock(writing_);
  Slot& slot = place_for(key, at);
  uint64_t word = slot.word.load();
  // What has expired is gone.
  while (slot.expires.load() <= at &&
         !slot.word.compare_exchange_weak(word, word & ~CounterSlot::kAmountMask)) {
  }
  slot.remaining.store(borrowed.remaining);
  slot.full_at.store(at + nanoseconds(borrowed.reset_after));
  if (borrowed.amount > 0) {
    slot.expires.store(at + nanoseconds(kLifetime));
    slot.word.fetch_add(borrowed.amount);
    slot.batch.store(borrowed.amount);
    slot.refused_until.store(0);
  } else {
    int64_t wait = std::min(nanoseconds(std::min<Duration>(borrowed.retry_after, kLifetime)), kMostBelief);
    slot.refused_until.store(at + wait);
  }
  slot.asked.store(0);
}

void LeaseTable::not_borrowed(const CounterKey& key) {
  if (Seen seen = find(key); seen.slot) seen.slot->asked.store(0);
}

}  // namespace sluice::store
