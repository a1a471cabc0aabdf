// Frames of the WebSocket protocol (RFC 6455, section 5): their heads read and written, their payloads left
// where they are.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace sluice::http::websocket {

/// RFC 6455, section 5.2. Others are reserved.
enum class Opcode : uint8_t {
  kContinuation = 0,
  kText = 1,
  kBinary = 2,
  kClose = 8,
  kPing = 9,
  kPong = 10,
};
constexpr bool is_control(Opcode opcode) { return (static_cast<uint8_t>(opcode) & 8) != 0; }
constexpr bool is_known(Opcode opcode) {
  auto number = static_cast<uint8_t>(opcode);
  return number <= 2 || (number >= 8 && number <= 10);
}

struct FrameHead {
  bool fin = true;
  uint8_t reserved = 0;  // RSV1 to RSV3, as the bits 4, 2 and 1
  Opcode opcode = Opcode::kBinary;
  bool masked = false;
  std::array<char, 4> mask{};
  uint64_t length = 0;
};

/// The longest head: two bytes, a length of eight, a mask of four.
inline constexpr size_t kMaxHeadBytes = 14;
inline constexpr uint64_t kMaxControlPayload = 125;

/// Writes a head in the shortest form; how many bytes it took.
size_t write_frame_head(const FrameHead& head, std::span<char, kMaxHeadBytes> to);

/// XORs `bytes` with a mask, as masking and unmasking both are (section 5.3). `offset`: where in the payload
/// they begin.
void apply_mask(std::span<char> bytes, const std::array<char, 4>& mask, uint64_t offset);
/// The same into another place.
void copy_masked(const char* from, std::span<char> to, const std::array<char, 4>& mask, uint64_t offset);

}  // namespace sluice::http::websocket
