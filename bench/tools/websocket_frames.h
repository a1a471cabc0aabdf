// Just enough of RFC 6455 to send and to receive whole messages of one frame each, and to shake hands. It
// trusts its peer as the other tools do.
#pragma once

#include <openssl/evp.h>

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace bench {

inline constexpr std::string_view kWebSocketKey = "dGhlIHNhbXBsZSBub25jZQ==";  // of every client here

/// Section 4.2.2: what a server answers to a client's key.
inline std::string websocket_accept(std::string_view key) {
  const std::string text = std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  unsigned char digest[EVP_MAX_MD_SIZE];
  EVP_Digest(text.data(), text.size(), digest, nullptr, EVP_sha1(), nullptr);
  unsigned char encoded[32];
  const int size = EVP_EncodeBlock(encoded, digest, 20);
  return {reinterpret_cast<const char*>(encoded), static_cast<size_t>(size)};
}

inline void apply_mask(char* bytes, size_t size, const unsigned char (&mask)[4]) {
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(bytes[i] ^ static_cast<char>(mask[i % 4]));
}

/// A binary message; with `masked` as a client must send it (section 5.3).
inline std::string websocket_message(std::string_view payload, bool masked) {
  std::string frame = "\x82";
  const char flag = masked ? '\x80' : '\0';
  const size_t size = payload.size();
  if (size < 126) {
    frame += static_cast<char>(flag | static_cast<char>(size));
  } else {
    const bool wide = size > 0xFFFF;
    frame += static_cast<char>(flag | (wide ? 127 : 126));
    for (int shift = wide ? 56 : 8; shift >= 0; shift -= 8) frame += static_cast<char>(size >> shift);
  }
  const unsigned char mask[4] = {0x37, 0xfa, 0x21, 0x3d};
  if (masked) frame.append(reinterpret_cast<const char*>(mask), 4);
  const size_t head = frame.size();
  frame += payload;
  if (masked) apply_mask(frame.data() + head, size, mask);
  return frame;
}

struct FrameHead {
  size_t head = 0;  // bytes before the payload
  size_t payload = 0;
  bool close = false;
  bool masked = false;
  unsigned char mask[4] = {};
};

/// The frame at the front of `input`, or nothing while its head is not whole.
inline std::optional<FrameHead> frame_head(std::string_view input) {
  if (input.size() < 2) return std::nullopt;
  FrameHead frame;
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(input[i]); };
  frame.close = (byte(0) & 0x0F) == 8;
  frame.masked = (byte(1) & 0x80) != 0;
  frame.payload = byte(1) & 0x7F;
  const size_t extended = frame.payload == 126 ? 2 : frame.payload == 127 ? 8 : 0;
  frame.head = 2 + extended + (frame.masked ? 4 : 0);
  if (input.size() < frame.head) return std::nullopt;
  if (extended > 0) frame.payload = 0;
  for (size_t i = 0; i < extended; ++i) frame.payload = frame.payload << 8 | byte(2 + i);
  if (frame.masked) std::memcpy(frame.mask, input.data() + 2 + extended, 4);
  return frame;
}

}  // namespace bench
