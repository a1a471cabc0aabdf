// What one side of a WebSocket sends, held to RFC 6455 and to limits before it is passed on. Nothing is
// buffered but heads that are not complete and control frames.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/time.h"
#include "base/utf8.h"
#include "http/websocket/close.h"
#include "http/websocket/frame_reader.h"
#include "http/websocket/relay_rules.h"

namespace sluice::http::websocket {

class MessageChecker {
 public:
  enum class Sender : uint8_t { kClient, kServer };

  MessageChecker(Sender sender, const MessageLimits& limits) : limits_(limits), sender_(sender) {}

  /// Looks at the next bytes. What may be passed on is `held()` and then the first so many of `bytes`; the
  /// rest is kept here until more comes, or is against the rules: then `violation` says which, and nothing
  /// further is looked at; or it follows a close frame, and is dropped (section 1.4). `to_boundary`: no
  /// further than to the end of the frame that has been begun.
  size_t check(std::string_view bytes, Instant now, bool to_boundary = false);
  /// A close frame is seen, but not passed on any more.
  void withhold_close() { withholds_close_ = true; }
  /// From earlier calls, to be sent before the bytes of this one; valid until the next call.
  std::string_view held() const { return {held_.data(), held_passed_}; }

  const std::optional<CloseReason>& violation() const { return violation_; }
  /// What was passed on so far ends with a whole frame.
  bool at_boundary() const { return whole_; }
  bool close_seen() const { return close_seen_; }
  /// What the close frame says; kNoStatus without a code.
  uint16_t close_code() const { return close_code_; }
  /// How many messages have been begun.
  uint64_t messages() const { return messages_; }

 private:
  /// Null: the frame may begin.
  const CloseReason* begin_frame(Instant now);
  const CloseReason* begin_message(const FrameHead& head);
  const CloseReason* take_payload();
  const CloseReason* end_frame();
  bool within_rate(Instant now);

  FrameReader reader_;
  MessageLimits limits_;
  std::optional<CloseReason> violation_;
  Utf8Checker text_;
  uint64_t messages_ = 0;
  uint64_t message_bytes_ = 0;
  Instant rate_full_at_{};  // GCRA: when the sender would have its whole burst again
  // What is not passed on yet because its frame is not known well enough.
  std::array<char, kMaxHeadBytes + kMaxControlPayload> held_;
  uint8_t held_size_ = 0;
  uint8_t held_passed_ = 0;
  std::array<char, kMaxControlPayload> close_payload_;
  uint16_t close_code_ = kNoStatus;
  Sender sender_;
  bool in_message_ = false;   // between the first and the last frame of one
  bool checks_text_ = false;  // of this message, that it is UTF-8
  bool whole_ = true;
  bool close_seen_ = false;
  bool withholds_close_ = false;
};

}  // namespace sluice::http::websocket
