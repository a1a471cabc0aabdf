// The walk through an API router's trie, shared by matching and explaining. Inner header of this folder.
#pragma once

#include "gateway/router/api_router.h"

namespace sluice::gateway {

/// What a walk knows about the path so far. Segments are found and hashed once, when first reached.
class ApiRouter::Walk {
 public:
  Walk(std::string_view path, uint32_t prefix_size) : path_(path) { position_[0] = prefix_size; }

  /// Nothing is left behind the first `depth` segments.
  bool at_end(uint32_t depth) const { return position_[depth] == path_.size(); }
  /// Segment `depth`; needs !at_end(depth).
  std::string_view segment(uint32_t depth) {
    if (depth == known_) {
      Segment found = scan_segment(path_.substr(position_[depth] + 1));
      hash_[depth] = found.hash;
      position_[depth + 1] = position_[depth] + 1 + found.size;
      ++known_;
    }
    return path_.substr(position_[depth] + 1, position_[depth + 1] - position_[depth] - 1);
  }
  uint64_t hash(uint32_t depth) const { return hash_[depth]; }
  /// Where the rest behind the first `depth` segments starts, without its slash.
  uint32_t rest_begin(uint32_t depth) const { return position_[depth] + !at_end(depth); }

  /// The node that the first `depth` segments have led to.
  uint32_t node(uint32_t depth) const { return trail_[depth]; }

 private:
  friend class ApiRouter;
  struct Pending {
    uint32_t node;
    uint16_t depth;
    bool rest;
  };

  std::string_view path_;
  uint32_t known_ = 0;    // segments found
  uint32_t pending_ = 0;  // alternatives put off, the nearest last
  uint32_t position_[kMaxPatternSegments + 2];
  uint32_t trail_[kMaxPatternSegments + 1];
  uint64_t hash_[kMaxPatternSegments + 1];
  Pending alternatives_[2 * (kMaxPatternSegments + 1)];
};

/// Calls `visit(first candidate, depth, is_rest)` for each path that fits, the most specific first, until it
/// says true.
template <class Visit>
void ApiRouter::walk(Walk& walk, Visit visit) const {
  uint32_t node = 0;
  uint32_t depth = 0;
  while (true) {
    walk.trail_[depth] = node;
    const Node& here = nodes_[node];
    if (walk.at_end(depth)) {
      if (here.exact != kNone && visit(here.exact, depth, false)) return;
      if (here.rest != kNone && visit(here.rest, depth, true)) return;
    } else {
      if (here.rest != kNone)
        walk.alternatives_[walk.pending_++] = {node, static_cast<uint16_t>(depth), true};
      if (here.literal != kNone || here.parameter != kNone) {
        std::string_view segment = walk.segment(depth);
        if (here.parameter != kNone && !segment.empty())
          walk.alternatives_[walk.pending_++] = {here.parameter, static_cast<uint16_t>(depth + 1), false};
        uint32_t child = literal_child(node, segment, walk.hash(depth));
        if (child != kNone) {
          node = child;
          ++depth;
          continue;
        }
      }
    }
    while (true) {
      if (walk.pending_ == 0) return;
      Walk::Pending next = walk.alternatives_[--walk.pending_];
      node = next.node;
      depth = next.depth;
      if (!next.rest) break;
      if (visit(nodes_[node].rest, depth, true)) return;
    }
  }
}

inline uint32_t ApiRouter::literal_child(uint32_t node, std::string_view segment, uint64_t hash) const {
  const Node& here = nodes_[node];
  auto same = [&](uint32_t child) {
    const Node& c = nodes_[child];
    return std::string_view(texts_.data() + c.text, c.text_size) == segment;
  };
  if (here.has_many_literals) return edges_.find(node, hash, same);
  return here.literal != kNone && same(here.literal) ? here.literal : kNone;
}

}  // namespace sluice::gateway
