#include "gateway/router/segment_table.h"

#include <utility>

namespace sluice::gateway {

void SegmentTable::insert(uint32_t parent, uint64_t segment_hash, uint32_t child) {
  if ((count_ + 1) * 2 > edges_.size()) {
    std::vector<Edge> old = std::exchange(edges_, std::vector<Edge>(edges_.empty() ? 8 : edges_.size() * 2));
    for (const Edge& edge : old)
      if (edge.child != kNone) place(edge);
  }
  place(Edge{key_of(parent, segment_hash), parent, child});
  ++count_;
}

void SegmentTable::place(const Edge& edge) {
  size_t mask = edges_.size() - 1;
  size_t i = edge.key & mask;
  while (edges_[i].child != kNone) i = (i + 1) & mask;
  edges_[i] = edge;
}

}  // namespace sluice::gateway
