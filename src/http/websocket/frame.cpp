#include "http/websocket/frame.h"

#include <bit>
#include <cstring>

namespace sluice::http::websocket {

size_t write_frame_head(const FrameHead& head, std::span<char, kMaxHeadBytes> to) {
  auto byte = [](uint64_t value) { return static_cast<char>(value & 0xff); };
  uint64_t masked = head.masked ? 0x80 : 0;
  to[0] = byte((head.fin ? 0x80U : 0U) | (head.reserved & 7U) << 4 | static_cast<uint8_t>(head.opcode));
  size_t at = 2;
  int length_bytes = 0;
  if (head.length <= 125) {
    to[1] = byte(masked | head.length);
  } else if (head.length <= UINT16_MAX) {
    to[1] = byte(masked | 126);
    length_bytes = 2;
  } else {
    to[1] = byte(masked | 127);
    length_bytes = 8;
  }
  for (int i = length_bytes; i-- > 0;) to[at++] = byte(head.length >> 8 * i);
  if (head.masked) {
    std::memcpy(&to[at], head.mask.data(), 4);
    at += 4;
  }
  return at;
}

void apply_mask(std::span<char> bytes, const std::array<char, 4>& mask, uint64_t offset) {
  copy_masked(bytes.data(), bytes, mask, offset);
}

void copy_masked(const char* from, std::span<char> to, const std::array<char, 4>& mask, uint64_t offset) {
  // The mask from `offset` on, twice: one word of it serves for all that follow.
  std::array<char, 8> pattern;
  for (size_t i = 0; i < 8; ++i) pattern[i] = mask[(offset + i) & 3];
  auto key = std::bit_cast<uint64_t>(pattern);
  char* at = to.data();
  size_t left = to.size();
  for (; left >= 8; left -= 8, from += 8, at += 8) {
    uint64_t word;
    std::memcpy(&word, from, 8);
    word ^= key;
    std::memcpy(at, &word, 8);
  }
  for (size_t i = 0; i < left; ++i) at[i] = static_cast<char>(from[i] ^ pattern[i]);
}

}  // namespace sluice::http::websocket
