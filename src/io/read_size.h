// ReadSize: which buffer the next read of a stream takes, going by what the last ones brought.
#pragma once

#include <algorithm>
#include <cstdint>

#include "io/buffer.h"

namespace sluice::io {

/// Large buffers once reads fill small ones, and until they are small for a while. What follows a full read
/// is often the little rest of the same message, so that one small read between full ones does not count for
/// more than half of these; between small and full nothing is known, for the last read of a large body is
/// seldom full.
class ReadSize {
 public:
  bool large() const { return score_ >= kLarge; }
  void note(uint32_t bytes, uint32_t capacity) {
    if (bytes == capacity)
      score_ = std::min<uint8_t>(score_ + 2, kMost);
    else if (bytes < kSmallRead && score_ > 0)
      --score_;
  }
  void reset() { score_ = 0; }

 private:
  static constexpr uint8_t kLarge = 3;
  static constexpr uint8_t kMost = 4;
  static constexpr uint32_t kSmallRead = BufferPool::kSmallBytes / 4;
  uint8_t score_ = 0;
};

}  // namespace sluice::io
