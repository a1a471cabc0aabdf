// The first block of an exchange's arena, from the loop's pool.
#pragma once

#include <span>

#include "base/arena.h"
#include "io/frame_pool.h"

namespace sluice::http {

class ArenaBlock {
 public:
  ArenaBlock() : block_(static_cast<std::byte*>(io::allocate_frame(Arena::kBlockBytes))) {}
  ArenaBlock(const ArenaBlock&) = delete;
  ArenaBlock& operator=(const ArenaBlock&) = delete;
  ~ArenaBlock() { io::release_frame(block_, Arena::kBlockBytes); }
  std::span<std::byte> bytes() const { return {block_, Arena::kBlockBytes}; }

 private:
  std::byte* block_;
};

}  // namespace sluice::http
