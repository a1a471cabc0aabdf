// SlotLevels: the memory of a table that is found by hash. A small level comes first and larger ones after
// it, so that a process with few keys touches few pages; a key may use a window of each.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "store/zeroed_pages.h"

namespace sluice::store {

/// Of slots whose value with all bits zero is an empty one. Address space is reserved at once, for twice as
/// many slots as `capacity`: then hardly a window is full before the table is.
template <class Slot>
class SlotLevels {
 public:
  static constexpr size_t kWindow = 16;

  explicit SlotLevels(uint64_t capacity) {
    uint64_t slots = std::bit_ceil(std::max<uint64_t>(capacity, kWindow)) * 2;
    std::vector<uint64_t> sizes{slots};
    while (sizes.back() > kFirstLevelSlots) sizes.push_back(sizes.back() / kLevelGrowth);
    for (uint64_t size : sizes) {
      ZeroedPages memory(size * sizeof(Slot));
      auto* first = static_cast<Slot*>(memory.data());
      levels_.insert(levels_.begin(), Level{std::move(memory), first, size - 1});
    }
  }

  /// The slots that the key with this hash may use, in order, until `visit` says that it has what it wants.
  template <class Visit>
  void probe(uint64_t hash, Visit visit) const {
    for (size_t i = 0; i < levels_.size(); ++i) {
      const Level& level = levels_[i];
      // Other bits for each level: what shares a window in one must not share it in the next.
      uint64_t at = std::rotr(hash, static_cast<int>(i * 21));
      for (size_t step = 0; step < kWindow; ++step)
        if (visit(level.slots[(at + step) & level.mask])) return;
    }
  }
  size_t slots_of_a_key() const { return kWindow * levels_.size(); }

  template <class Visit>
  void for_each(Visit visit) const {
    for (const Level& level : levels_)
      for (uint64_t i = 0; i <= level.mask; ++i) visit(level.slots[i]);
  }

 private:
  struct Level {
    ZeroedPages memory;
    Slot* slots;
    uint64_t mask;
  };
  static constexpr uint64_t kFirstLevelSlots = 4096;
  static constexpr uint64_t kLevelGrowth = 16;

  std::vector<Level> levels_;
};

}  // namespace sluice::store
