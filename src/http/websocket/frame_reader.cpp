#include "http/websocket/frame_reader.h"

#include <algorithm>
#include <cstring>

namespace sluice::http::websocket {

namespace {

/// How long a head is, as far as its first two bytes tell; two when they are not there.
size_t head_size(std::string_view bytes) {
  if (bytes.size() < 2) return 2;
  auto second = static_cast<uint8_t>(bytes[1]);
  size_t size = 2;
  if ((second & 0x7f) == 126) size += 2;
  if ((second & 0x7f) == 127) size += 8;
  if (second & 0x80) size += 4;
  return size;
}

}  // namespace

FrameReader::Event FrameReader::next(std::string_view& input) {
  if (input.empty()) return Event::kNeedMore;
  if (bad_) {
    input = {};
    return Event::kBad;
  }
  if (left_ == 0) return read_head(input);
  payload_ = input.substr(0, static_cast<size_t>(std::min<uint64_t>(left_, input.size())));
  left_ -= payload_.size();
  input.remove_prefix(payload_.size());
  return Event::kPayload;
}

FrameReader::Event FrameReader::read_head(std::string_view& input) {
  payload_ = {};
  size_t size = head_size(input);
  if (kept_size_ == 0 && input.size() >= size) [[likely]] {
    bool good = parse_head(input.substr(0, size));
    input.remove_prefix(size);
    return good ? Event::kHead : Event::kBad;
  }
  for (;;) {
    size = head_size(kept());
    if (kept_size_ >= size) break;
    if (input.empty()) return Event::kNeedMore;
    size_t taken = std::min<size_t>(size - kept_size_, input.size());
    std::memcpy(&kept_[kept_size_], input.data(), taken);
    kept_size_ += static_cast<uint8_t>(taken);
    input.remove_prefix(taken);
  }
  bool good = parse_head(kept());
  kept_size_ = 0;
  return good ? Event::kHead : Event::kBad;
}

bool FrameReader::parse_head(std::string_view bytes) {
  auto byte = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
  head_.fin = (byte(0) & 0x80) != 0;
  head_.reserved = byte(0) >> 4 & 7;
  head_.opcode = static_cast<Opcode>(byte(0) & 15);
  head_.masked = (byte(1) & 0x80) != 0;
  uint64_t length = byte(1) & 0x7f;
  size_t at = 2;
  // The shortest form only, and no length with its top bit set (section 5.2).
  uint64_t least = 0;
  if (length >= 126) {
    size_t length_bytes = length == 126 ? 2 : 8;
    least = length == 126 ? 126 : uint64_t{UINT16_MAX} + 1;
    length = 0;
    for (size_t i = 0; i < length_bytes; ++i) length = length << 8 | byte(at++);
  }
  bad_ = length < least || length > INT64_MAX;
  if (bad_) return false;
  if (head_.masked) std::memcpy(head_.mask.data(), bytes.data() + at, 4);
  head_.length = left_ = length;
  return true;
}

}  // namespace sluice::http::websocket
