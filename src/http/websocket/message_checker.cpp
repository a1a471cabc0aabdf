#include "http/websocket/message_checker.h"

#include <algorithm>
#include <cstring>

namespace sluice::http::websocket {

namespace {

constexpr CloseReason kBadLength{kProtocolError, "bad frame length"};
constexpr CloseReason kBadOpcode{kProtocolError, "reserved opcode"};
constexpr CloseReason kBadReserved{kProtocolError, "reserved bits without an extension"};
constexpr CloseReason kNotMasked{kProtocolError, "frame without a mask"};
constexpr CloseReason kMasked{kProtocolError, "masked frame"};
constexpr CloseReason kBadControl{kProtocolError, "bad control frame"};
constexpr CloseReason kBadFragment{kProtocolError, "frame out of order"};
constexpr CloseReason kBadClose{kProtocolError, "bad close frame"};
constexpr CloseReason kBadText{kNotUtf8, "text is not UTF-8"};
constexpr CloseReason kTooBig{kMessageTooBig, "message too big"};
constexpr CloseReason kTooMany{kPolicyViolation, "too many messages"};

}  // namespace

size_t MessageChecker::check(std::string_view bytes, Instant now, bool to_boundary) {
  // What was held and released has been sent: the rest moves to the front.
  std::copy(held_.begin() + held_passed_, held_.begin() + held_size_, held_.begin());
  held_size_ -= held_passed_;
  held_passed_ = 0;

  std::string_view input = bytes;
  size_t passed = 0;  // of `bytes`
  size_t frame = 0;   // where in `bytes` what is held back begins
  auto hold = [&] {
    std::string_view rest = bytes.substr(frame, bytes.size() - input.size() - frame);
    std::memcpy(&held_[held_size_], rest.data(), rest.size());
    held_size_ += static_cast<uint8_t>(rest.size());
  };
  while (!input.empty() && !violation_ && !close_seen_) {
    auto event = reader_.next(input);
    const CloseReason* broken = nullptr;
    switch (event) {
      case FrameReader::Event::kNeedMore:
        break;
      case FrameReader::Event::kBad:
        broken = &kBadLength;
        break;
      case FrameReader::Event::kHead:
        broken = begin_frame(now);
        break;
      case FrameReader::Event::kPayload:
        broken = take_payload();
        break;
    }
    if (!broken && event != FrameReader::Event::kNeedMore && reader_.at_boundary()) broken = end_frame();
    if (broken) {
      violation_ = *broken;
      break;
    }
    if (close_seen_ && withholds_close_) break;
    // A data frame leaves as it comes once its head is known; a control frame when all of it is.
    bool known = event != FrameReader::Event::kNeedMore &&
                 (!is_control(reader_.head().opcode) || reader_.at_boundary());
    if (!known) continue;
    held_passed_ = held_size_;
    passed = frame = bytes.size() - input.size();
    whole_ = reader_.at_boundary();
    if (to_boundary && whole_) return passed;
  }
  if (!violation_ && !close_seen_ && frame < bytes.size()) hold();
  return passed;
}

const CloseReason* MessageChecker::begin_frame(Instant now) {
  const FrameHead& head = reader_.head();
  if (!is_known(head.opcode)) return &kBadOpcode;
  // RSV1 marks a compressed message (RFC 7692, section 6).
  if (head.reserved != 0 && !(limits_.compression && head.reserved == 4)) return &kBadReserved;
  if (sender_ == Sender::kClient && !head.masked) return &kNotMasked;
  if (sender_ == Sender::kServer && head.masked) return &kMasked;
  if (is_control(head.opcode)) {
    if (!head.fin || head.length > kMaxControlPayload || head.reserved != 0) return &kBadControl;
    if (head.opcode == Opcode::kClose) return nullptr;  // whoever ends is within any rate
  } else if (const CloseReason* broken = begin_message(head)) {
    return broken;
  }
  bool counts = head.opcode != Opcode::kContinuation || (head.length == 0 && !head.fin);
  return counts && !within_rate(now) ? &kTooMany : nullptr;
}

const CloseReason* MessageChecker::begin_message(const FrameHead& head) {
  bool continues = head.opcode == Opcode::kContinuation;
  if (continues != in_message_) return &kBadFragment;
  if (continues && head.reserved != 0) return &kBadReserved;
  if (!continues) {
    ++messages_;
    message_bytes_ = 0;
    checks_text_ = head.opcode == Opcode::kText && head.reserved == 0;
    text_.reset();
  }
  in_message_ = !head.fin;
  if (limits_.max_message != 0 && head.length > limits_.max_message - message_bytes_) return &kTooBig;
  message_bytes_ += head.length;
  return nullptr;
}

const CloseReason* MessageChecker::take_payload() {
  const FrameHead& head = reader_.head();
  std::string_view payload = reader_.payload();
  uint64_t offset = reader_.payload_offset();
  if (head.opcode == Opcode::kClose) {
    copy_masked(payload.data(), std::span(close_payload_).subspan(offset, payload.size()), head.mask, offset);
    return nullptr;
  }
  if (!checks_text_ || is_control(head.opcode)) return nullptr;
  if (!head.masked) return text_.feed(payload) ? nullptr : &kBadText;
  std::array<char, 1024> clear;
  while (!payload.empty()) {
    std::span<char> piece(clear.data(), std::min(clear.size(), payload.size()));
    copy_masked(payload.data(), piece, head.mask, offset);
    if (!text_.feed({piece.data(), piece.size()})) return &kBadText;
    payload.remove_prefix(piece.size());
    offset += piece.size();
  }
  return nullptr;
}

const CloseReason* MessageChecker::end_frame() {
  const FrameHead& head = reader_.head();
  if (head.opcode == Opcode::kClose) {
    close_seen_ = head.length == 0;
    if (close_seen_) return nullptr;
    if (head.length == 1) return &kBadClose;
    auto byte = [&](size_t i) { return static_cast<uint8_t>(close_payload_[i]); };
    auto code = static_cast<uint16_t>(byte(0) << 8 | byte(1));
    if (!may_be_sent(code)) return &kBadClose;
    if (!is_utf8({close_payload_.data() + 2, head.length - 2})) return &kBadText;
    close_seen_ = true;
    close_code_ = code;
    return nullptr;
  }
  bool text_ends = checks_text_ && !is_control(head.opcode) && head.fin;
  return text_ends && !text_.complete() ? &kBadText : nullptr;
}

bool MessageChecker::within_rate(Instant now) {
  if (limits_.rate_count == 0) return true;
  Duration each = limits_.rate_period / static_cast<int64_t>(limits_.rate_count);
  Instant full_at = std::max(rate_full_at_, now) + each;
  if (full_at - now > limits_.rate_period) return false;
  rate_full_at_ = full_at;
  return true;
}

}  // namespace sluice::http::websocket
