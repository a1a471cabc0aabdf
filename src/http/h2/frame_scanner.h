// Sees the head of every frame before nghttp2 does, which tells of most frames only, and of none before it
// has acted on it.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace sluice::http::h2 {

/// RFC 9113, section 4.1.
struct FrameHead {
  static constexpr size_t kBytes = 9;
  uint32_t length;
  uint8_t type;
  uint8_t flags;
  int32_t stream;
};

class FrameScanner {
 public:
  /// The bytes of a client's preface (RFC 9113, section 3.4) come before its first frame.
  static constexpr uint32_t kPrefaceBytes = 24;

  /// `before` bytes come before the first frame.
  explicit FrameScanner(uint32_t before) : payload_left_(before) {}

  /// Moves `at` behind the next frame head in `bytes`, or to their end.
  std::optional<FrameHead> next(std::string_view bytes, size_t& at) {
    while (at < bytes.size()) {
      if (payload_left_ > 0) {
        auto skipped = static_cast<uint32_t>(std::min<size_t>(payload_left_, bytes.size() - at));
        payload_left_ -= skipped;
        at += skipped;
        continue;
      }
      head_[have_++] = static_cast<uint8_t>(bytes[at++]);
      if (have_ < FrameHead::kBytes) continue;
      have_ = 0;
      FrameHead head{.length = number(0, 3),
                     .type = head_[3],
                     .flags = head_[4],
                     .stream = static_cast<int32_t>(number(5, 4) & INT32_MAX)};
      payload_left_ = head.length;
      return head;
    }
    return std::nullopt;
  }

 private:
  uint32_t number(size_t from, size_t bytes) const {
    uint32_t value = 0;
    for (size_t i = from; i < from + bytes; ++i) value = value << 8 | head_[i];
    return value;
  }

  uint32_t payload_left_;
  uint8_t have_ = 0;
  std::array<uint8_t, FrameHead::kBytes> head_{};
};

}  // namespace sluice::http::h2
