// Finds the frames in a stream of bytes as they pass, in whatever pieces they come: nothing is kept but the
// beginning of a head.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "http/websocket/frame.h"

namespace sluice::http::websocket {

class FrameReader {
 public:
  enum class Event : uint8_t {
    kNeedMore,  // all of the input is taken
    kHead,      // of a frame: see `head`
    kPayload,   // a piece of it: see `payload`
    kBad,       // a length that no sender may write (section 5.2); nothing can be told of what follows
  };

  /// Takes what belongs to the next event off the front of `input`. The last event of a frame leaves the
  /// reader at a boundary; a frame without payload has its head alone.
  Event next(std::string_view& input);

  /// Of the frame that was begun last.
  const FrameHead& head() const { return head_; }
  /// Of kPayload: still masked, in the input's memory, and where in the frame's payload it begins.
  std::string_view payload() const { return payload_; }
  uint64_t payload_offset() const { return head_.length - left_ - payload_.size(); }
  /// Between two frames, with nothing of the next one seen.
  bool at_boundary() const { return left_ == 0 && kept_size_ == 0 && !bad_; }
  /// Of a head that is not complete.
  std::string_view kept() const { return {kept_.data(), kept_size_}; }
  bool bad() const { return bad_; }

 private:
  Event read_head(std::string_view& input);
  bool parse_head(std::string_view bytes);

  FrameHead head_;
  std::string_view payload_;
  uint64_t left_ = 0;  // of the payload
  std::array<char, kMaxHeadBytes> kept_;
  uint8_t kept_size_ = 0;
  bool bad_ = false;
};

}  // namespace sluice::http::websocket
