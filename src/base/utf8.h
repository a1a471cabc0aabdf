// UTF-8 (RFC 3629), checked as it comes: no overlong form, no surrogate, nothing beyond U+10FFFF.
#pragma once

#include <cstdint>
#include <string_view>

namespace sluice {

/// Over a text in pieces that may end within a character.
class Utf8Checker {
 public:
  /// False once the text cannot be UTF-8 whatever follows.
  bool feed(std::string_view piece);
  /// Whether the text may end here.
  bool complete() const { return state_ == 0; }
  void reset() { state_ = 0; }

 private:
  uint8_t state_ = 0;
};

inline bool is_utf8(std::string_view text) {
  Utf8Checker checker;
  return checker.feed(text) && checker.complete();
}

}  // namespace sluice
