// CounterSlot: a counter in a table that many threads change without a lock, found by the hash that is its
// name.
#pragma once

#include <atomic>
#include <cstdint>

#include "store/local/local_store.h"
#include "store/slot_levels.h"

namespace sluice::store {

/// Its word is a generation (16 bits; odd while the slot is given to another counter) and an amount (48
/// bits); zero: never used. Who reads takes the word first, then the other members, and then changes the word
/// by compare-and-swap or looks at it again: it has another generation if the slot has become another's
/// meanwhile.
struct CounterSlot {
  static constexpr int kAmountBits = 48;
  static constexpr uint64_t kAmountMask = (uint64_t{1} << kAmountBits) - 1;

  std::atomic<uint64_t> word;
  std::atomic<uint64_t> high;
  std::atomic<uint64_t> low;

  static uint64_t amount_of(uint64_t word) { return word & kAmountMask; }
  static uint64_t generation_of(uint64_t word) { return word >> kAmountBits; }
  bool is_of(const CounterKey& key) const { return high.load() == key.high && low.load() == key.low; }

  /// For one thread at a time: nobody finds it until `open`.
  void close() {
    uint64_t seen = word.load();
    while (!word.compare_exchange_weak(seen, (seen & ~kAmountMask) + kOneGeneration)) {
    }
  }
  void open(const CounterKey& key, uint64_t amount) {
    high.store(key.high);
    low.store(key.low);
    uint64_t generation = (word.load() & ~kAmountMask) + kOneGeneration;
    // Never zero: that is a slot that was never used.
    if (generation == 0) generation = 2 * kOneGeneration;
    word.store(generation | amount);
  }
  static bool is_closed(uint64_t word) { return (word & kOneGeneration) != 0; }

 private:
  static constexpr uint64_t kOneGeneration = uint64_t{1} << kAmountBits;
};

/// A counter as it was seen.
template <class Slot>
struct SeenCounter {
  Slot* slot = nullptr;  // null: there is none
  uint64_t word = 0;
};

template <class Slot>
SeenCounter<Slot> find_counter(const SlotLevels<Slot>& slots, const CounterKey& key) {
  SeenCounter<Slot> seen;
  slots.probe(key.low, [&](Slot& slot) {
    uint64_t word = slot.word.load();
    if (word == 0) return true;
    if (CounterSlot::is_closed(word) || !slot.is_of(key)) return false;
    seen = {&slot, word};
    return true;
  });
  return seen;
}

}  // namespace sluice::store
