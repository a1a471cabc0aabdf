// Gathers a message head that comes in pieces into one text in an arena. A head that is there at once is
// copied once.
#pragma once

#include <algorithm>
#include <cstring>
#include <string_view>

#include "base/arena.h"

namespace sluice::http::h1 {

class HeadBuffer {
 public:
  explicit HeadBuffer(Arena& arena) : arena_(arena) {}

  bool empty() const { return size_ == 0; }
  void append(std::string_view piece) {
    if (size_ + piece.size() > capacity_) grow(size_ + piece.size());
    std::memcpy(text_ + size_, piece.data(), piece.size());
    size_ += piece.size();
  }
  std::string_view text() const { return {text_, size_}; }

 private:
  /// Doubles, so that a head that comes byte by byte costs at most twice its size.
  void grow(size_t needed) {
    capacity_ = capacity_ ? std::max(capacity_ * 2, needed) : needed;
    char* larger = arena_.allocate_chars(capacity_);
    if (size_) std::memcpy(larger, text_, size_);
    text_ = larger;
  }

  Arena& arena_;
  char* text_ = nullptr;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace sluice::http::h1
