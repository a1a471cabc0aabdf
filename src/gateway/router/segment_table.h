// Segments of paths, and the table of a trie's literal edges: (node, segment) -> node, one flat array for the
// whole trie, so that a step down costs one probe however many children a node has.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "base/hash.h"

namespace sluice::gateway {

/// One segment of a path: what stands after a '/' up to the next one or the end.
struct Segment {
  uint64_t hash;
  uint32_t size;
};

/// The segment at the start of `text`, found and hashed in one go.
inline Segment scan_segment(std::string_view text) {
  static_assert(std::endian::native == std::endian::little,
                "words are cut at the first '/' from the low end");
  constexpr uint64_t kOnes = 0x0101010101010101;
  constexpr uint64_t kMultiplier = 0x9e3779b97f4a7c15;
  uint64_t hash = 0;
  size_t at = 0;
  while (text.size() - at >= 8) {
    uint64_t word;
    std::memcpy(&word, text.data() + at, 8);
    uint64_t x = word ^ (kOnes * '/');
    uint64_t slash = (x - kOnes) & ~x & (kOnes * 0x80);  // the lowest set bit is exact
    if (slash) {
      int bits = std::countr_zero(slash) & ~7;
      at += static_cast<size_t>(bits) / 8;
      word &= (uint64_t{1} << bits) - 1;
      return {mix64((hash ^ word) * kMultiplier + at), static_cast<uint32_t>(at)};
    }
    hash = std::rotl((hash ^ word) * kMultiplier, 29);
    at += 8;
  }
  uint64_t word = 0;
  for (int bits = 0; at < text.size() && text[at] != '/'; ++at, bits += 8)
    word |= uint64_t{static_cast<unsigned char>(text[at])} << bits;
  return {mix64((hash ^ word) * kMultiplier + at), static_cast<uint32_t>(at)};
}

/// Open addressing at most half full. Only a configuration fills it, so its longest probe is fixed before any
/// request comes. A found edge is a candidate: the caller compares the texts.
class SegmentTable {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  void insert(uint32_t parent, uint64_t segment_hash, uint32_t child);
  /// Calls `same(child)` for each edge of that parent and hash until it says true; that child, or kNone.
  template <class Same>
  uint32_t find(uint32_t parent, uint64_t segment_hash, Same same) const {
    if (edges_.empty()) return kNone;
    uint64_t key = key_of(parent, segment_hash);
    size_t mask = edges_.size() - 1;
    for (size_t i = key & mask; edges_[i].child != kNone; i = (i + 1) & mask) {
      const Edge& edge = edges_[i];
      if (edge.key == key && edge.parent == parent && same(edge.child)) return edge.child;
    }
    return kNone;
  }
  size_t memory_bytes() const { return edges_.capacity() * sizeof(Edge); }

 private:
  struct Edge {
    uint64_t key = 0;
    uint32_t parent = 0;
    uint32_t child = kNone;
  };
  static uint64_t key_of(uint32_t parent, uint64_t segment_hash) {
    uint64_t key = (segment_hash + parent) * 0x9fb21c651e98df25;
    return key ^ (key >> 32);
  }
  void place(const Edge& edge);

  std::vector<Edge> edges_;
  size_t count_ = 0;
};

}  // namespace sluice::gateway
