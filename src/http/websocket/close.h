// Why a WebSocket ends: the codes of close frames (RFC 6455, section 7.4) and the frames themselves.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "http/websocket/frame.h"

namespace sluice::http::websocket {

inline constexpr uint16_t kGoingAway = 1001;
inline constexpr uint16_t kProtocolError = 1002;
inline constexpr uint16_t kNoStatus = 1005;  // never sent: a close frame had no code
inline constexpr uint16_t kAbnormal = 1006;  // never sent: the connection ended without a close frame
inline constexpr uint16_t kNotUtf8 = 1007;
inline constexpr uint16_t kPolicyViolation = 1008;
inline constexpr uint16_t kMessageTooBig = 1009;

/// Whether a close frame may carry `code`: those that IANA has registered for it, and those left to libraries
/// and applications (sections 7.4.1 and 7.4.2).
constexpr bool may_be_sent(uint16_t code) {
  if (code >= 3000) return code < 5000;
  return code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006;
}

struct CloseReason {
  uint16_t code;
  std::string_view text;  // static; at most 123 bytes
};

/// A whole close frame.
class CloseFrame {
 public:
  explicit CloseFrame(const CloseReason& reason);
  /// As a client sends it.
  CloseFrame(const CloseReason& reason, const std::array<char, 4>& mask);
  std::string_view bytes() const { return {bytes_.data(), size_}; }

 private:
  void write(FrameHead head, const CloseReason& reason);
  std::array<char, kMaxHeadBytes + kMaxControlPayload> bytes_;
  size_t size_ = 0;
};

}  // namespace sluice::http::websocket
