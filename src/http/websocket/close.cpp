#include "http/websocket/close.h"

#include <algorithm>
#include <cstring>

namespace sluice::http::websocket {

CloseFrame::CloseFrame(const CloseReason& reason) { write({.opcode = Opcode::kClose}, reason); }

CloseFrame::CloseFrame(const CloseReason& reason, const std::array<char, 4>& mask) {
  write({.opcode = Opcode::kClose, .masked = true, .mask = mask}, reason);
}

void CloseFrame::write(FrameHead head, const CloseReason& reason) {
  size_t text = std::min<size_t>(reason.text.size(), kMaxControlPayload - 2);
  head.length = 2 + text;
  size_ = write_frame_head(head, std::span(bytes_).first<kMaxHeadBytes>());
  char* payload = bytes_.data() + size_;
  payload[0] = static_cast<char>(reason.code >> 8);
  payload[1] = static_cast<char>(reason.code & 0xff);
  std::memcpy(payload + 2, reason.text.data(), text);
  size_ += 2 + text;
  if (head.masked) apply_mask({payload, 2 + text}, head.mask, 0);
}

}  // namespace sluice::http::websocket
