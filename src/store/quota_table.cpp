#include "store/quota_table.h"

#include <algorithm>

namespace sluice::store {

namespace {

constexpr uint64_t kAsked = uint64_t{1} << 63;  // in `granted`: somebody has been told to ask for more
/// A counter is given away when its period has ended so many seconds ago: by then every worker knows.
constexpr int64_t kMaxSkew = 2;

uint64_t spent_of(uint64_t word) { return CounterSlot::amount_of(word); }

}  // namespace

QuotaTable::Taken QuotaTable::look(const Seen& seen, int64_t period_end, uint64_t limit, uint64_t cost) {
  using Outcome = Taken::Outcome;
  Taken taken{.outcome = Outcome::kUnknown, .period_end = period_end};
  if (!seen.slot) return taken;
  taken.period_end = seen.slot->period_end.load();
  if (taken.period_end < period_end) return {.outcome = Outcome::kUnknown, .period_end = period_end};
  taken.spent = spent_of(seen.word);
  if (cost > limit || taken.spent > limit - cost)
    taken.outcome = Outcome::kSpent;
  else if (taken.spent + cost <= (seen.slot->granted.load() & ~kAsked))
    taken.outcome = Outcome::kTaken;
  return taken;
}

QuotaTable::Taken QuotaTable::take(const CounterKey& key, int64_t period_end, uint64_t limit, uint64_t block,
                                   uint64_t cost) {
  for (;;) {
    Seen seen = find(key);
    Taken taken = look(seen, period_end, limit, cost);
    if (taken.outcome != Taken::Outcome::kTaken) {
      // What was seen is true only if the slot has not become another's meanwhile.
      if (!seen.slot || seen.slot->word.load() == seen.word) return taken;
      continue;
    }
    if (!seen.slot->word.compare_exchange_strong(seen.word, seen.word + cost)) continue;
    taken.spent += cost;
    uint64_t granted = seen.slot->granted.load();
    bool low = !(granted & kAsked) && granted < limit && granted - std::min(granted, taken.spent) < block / 2;
    taken.low = low && !(seen.slot->granted.fetch_or(kAsked) & kAsked);
    return taken;
  }
}

QuotaTable::Taken QuotaTable::peek(const CounterKey& key, int64_t period_end, uint64_t limit,
                                   uint64_t cost) const {
  for (;;) {
    Seen seen = find(key);
    Taken taken = look(seen, period_end, limit, cost);
    if (!seen.slot || seen.slot->word.load() == seen.word) return taken;
  }
}

bool QuotaTable::charge(const CounterKey& key, int64_t period_end, uint64_t limit, uint64_t cost) {
  for (;;) {
    Seen seen = find(key);
    if (!seen.slot || seen.slot->period_end.load() < period_end) return false;
    uint64_t spent = spent_of(seen.word);
    uint64_t more = std::min(cost, limit - std::min(limit, spent));
    if (!seen.slot->word.compare_exchange_strong(seen.word, seen.word + more)) continue;
    return spent + more > (seen.slot->granted.load() & ~kAsked);
  }
}

void QuotaTable::give_back(const CounterKey& key, int64_t period_end, uint64_t cost) {
  for (;;) {
    Seen seen = find(key);
    if (!seen.slot || seen.slot->period_end.load() != period_end || spent_of(seen.word) < cost) return;
    if (seen.slot->word.compare_exchange_strong(seen.word, seen.word - cost)) return;
  }
}

/// Under the mutex: the key's own slot, or else one that is free, or else another's.
QuotaTable::Slot& QuotaTable::place_for(const CounterKey& key, int64_t now) {
  if (Seen seen = find(key); seen.slot) return *seen.slot;
  Slot* found = nullptr;
  slots_.probe(key.low, [&](Slot& slot) {
    if (slot.word.load() == 0 || slot.period_end.load() + kMaxSkew < now) found = &slot;
    return found != nullptr;
  });
  if (found) return *found;
  evictions_.fetch_add(1, std::memory_order_relaxed);
  uint64_t step = next_victim_++ % (slots_.slots_of_a_key());
  slots_.probe(key.low, [&](Slot& slot) {
    found = &slot;
    return step-- == 0;
  });
  return *found;
}

void QuotaTable::rewrite(Slot& slot, const CounterKey& key, int64_t period_end, uint64_t spent,
                         uint64_t granted) {
  slot.close();
  slot.period_end.store(period_end);
  slot.granted.store(granted);
  slot.open(key, spent);
}

void QuotaTable::granted(const Grant& grant, int64_t now) {
  std::lock_guard lock(writing_);
  Slot* slot = &place_for(grant.key, now);
  bool ours = slot->word.load() != 0 && slot->is_of(grant.key);
  if (!ours || slot->period_end.load() < grant.period_end)
    return rewrite(*slot, grant.key, grant.period_end, grant.from, grant.to);
  if (slot->period_end.load() > grant.period_end) return;
  uint64_t before = slot->granted.load() & ~kAsked;
  // Another process has spent what lies between.
  if (grant.from > before) slot->word.fetch_add(grant.from - before);
  slot->granted.store(std::max(before, grant.to));
}

uint64_t QuotaTable::granted_until(const CounterKey& key, int64_t period_end) const {
  for (;;) {
    Seen seen = find(key);
    if (!seen.slot) return 0;
    uint64_t granted = seen.slot->period_end.load() == period_end ? seen.slot->granted.load() & ~kAsked : 0;
    if (CounterSlot::generation_of(seen.slot->word.load()) == CounterSlot::generation_of(seen.word))
      return granted;
  }
}

void QuotaTable::grant_unwritten(const CounterKey& key, int64_t period_end, uint64_t amount, int64_t now) {
  Grant grant{.key = key, .period_end = period_end};
  grant.from = granted_until(key, period_end);
  grant.to = grant.from + amount;
  granted(grant, now);
}

std::vector<Unspent> QuotaTable::unspent(int64_t now) const {
  std::vector<Unspent> all;
  slots_.for_each([&](const Slot& slot) {
    uint64_t word = slot.word.load();
    uint64_t granted = slot.granted.load() & ~kAsked;
    if (word == 0 || slot.period_end.load() <= now || spent_of(word) >= granted) return;
    all.push_back({{slot.high.load(), slot.low.load()}, slot.period_end.load(), granted, spent_of(word)});
  });
  return all;
}

}  // namespace sluice::store
