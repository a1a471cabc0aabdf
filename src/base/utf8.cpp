#include "base/utf8.h"

#include <array>
#include <cstring>

namespace sluice {

namespace {

/// What may come next within a character: 0 a first byte, then how many bytes of 80..BF remain, or which
/// narrower range the second byte has (RFC 3629, section 4).
enum State : uint8_t {
  kStart,
  kOneMore,
  kTwoMore,
  kThreeMore,
  kAfterE0,  // A0..BF: nothing shorter would do
  kAfterEd,  // 80..9F: no surrogates
  kAfterF0,  // 90..BF
  kAfterF4,  // 80..8F: U+10FFFF at most
  kBad,
};

enum Kind : uint8_t { k00, k80, k90, kA0, kC2, kE0, kE1, kEd, kF0, kF1, kF4, kNever, kKinds };

constexpr std::array<uint8_t, 256> kKindOf = [] {
  std::array<uint8_t, 256> kinds{};
  for (size_t i = 0; i < 256; ++i) {
    uint8_t kind = kNever;
    if (i < 0x80)
      kind = k00;
    else if (i < 0x90)
      kind = k80;
    else if (i < 0xa0)
      kind = k90;
    else if (i < 0xc0)
      kind = kA0;
    else if (i >= 0xc2 && i < 0xe0)
      kind = kC2;
    else if (i == 0xe0)
      kind = kE0;
    else if (i == 0xed)
      kind = kEd;
    else if (i > 0xe0 && i < 0xf0)
      kind = kE1;
    else if (i == 0xf0)
      kind = kF0;
    else if (i > 0xf0 && i < 0xf4)
      kind = kF1;
    else if (i == 0xf4)
      kind = kF4;
    kinds[i] = kind;
  }
  return kinds;
}();

constexpr std::array<std::array<uint8_t, kKinds>, kBad + 1> kNext = [] {
  std::array<std::array<uint8_t, kKinds>, kBad + 1> next{};
  for (auto& row : next) row.fill(kBad);
  next[kStart][k00] = kStart;
  next[kStart][kC2] = kOneMore;
  next[kStart][kE0] = kAfterE0;
  next[kStart][kE1] = kTwoMore;
  next[kStart][kEd] = kAfterEd;
  next[kStart][kF0] = kAfterF0;
  next[kStart][kF1] = kThreeMore;
  next[kStart][kF4] = kAfterF4;
  for (Kind kind : {k80, k90, kA0}) {
    next[kOneMore][kind] = kStart;
    next[kTwoMore][kind] = kOneMore;
    next[kThreeMore][kind] = kTwoMore;
  }
  next[kAfterE0][kA0] = kOneMore;
  next[kAfterEd][k80] = next[kAfterEd][k90] = kOneMore;
  next[kAfterF0][k90] = next[kAfterF0][kA0] = kTwoMore;
  next[kAfterF4][k80] = kTwoMore;
  return next;
}();

}  // namespace

bool Utf8Checker::feed(std::string_view piece) {
  const char* at = piece.data();
  const char* end = at + piece.size();
  uint8_t state = state_;
  while (at != end) {
    if (state == kStart) {
      uint64_t word;
      while (end - at >= 8 && (std::memcpy(&word, at, 8), (word & 0x8080808080808080) == 0)) at += 8;
      if (at == end) break;
    }
    state = kNext[state][kKindOf[static_cast<uint8_t>(*at++)]];
    if (state == kBad) break;
  }
  state_ = state;
  return state != kBad;
}

}  // namespace sluice
