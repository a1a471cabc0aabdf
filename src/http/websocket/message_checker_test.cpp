#include "http/websocket/message_checker.h"

#include <gtest/gtest.h>

#include <string>

#include "base/random.h"

namespace sluice::http::websocket {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using Sender = MessageChecker::Sender;

std::string frame(std::string_view payload, Opcode opcode, bool fin = true, bool masked = true,
                  int reserved = 0) {
  FrameHead head{.fin = fin,
                 .reserved = static_cast<uint8_t>(reserved),
                 .opcode = opcode,
                 .masked = masked,
                 .mask = {'\x11', '\x22', '\x33', '\x44'},
                 .length = payload.size()};
  std::array<char, kMaxHeadBytes> bytes;
  std::string text(bytes.data(), write_frame_head(head, bytes));
  std::string body(payload);
  if (masked) apply_mask(body, head.mask, 0);
  return text + body;
}
std::string text(std::string_view payload, bool fin = true) { return frame(payload, Opcode::kText, fin); }
std::string more(std::string_view payload, bool fin = true) {
  return frame(payload, Opcode::kContinuation, fin);
}
std::string ping(std::string_view payload = "") { return frame(payload, Opcode::kPing); }
std::string close_with(std::string_view payload) { return frame(payload, Opcode::kClose); }

struct Outcome {
  std::string passed;
  std::string_view why;
  uint16_t code = 0;
  bool whole = false;
  bool operator==(const Outcome&) const = default;
};

Outcome check(std::string_view bytes, size_t piece, const MessageLimits& limits,
              Sender sender = Sender::kClient) {
  MessageChecker checker(sender, limits);
  Outcome outcome;
  while (!bytes.empty() && !checker.violation()) {
    std::string copy(bytes.substr(0, piece));  // reading beyond it is seen by ASan
    bytes.remove_prefix(copy.size());
    size_t passed = checker.check(copy, Instant());
    outcome.passed += checker.held();
    outcome.passed += copy.substr(0, passed);
  }
  if (checker.violation()) {
    outcome.why = checker.violation()->text;
    outcome.code = checker.violation()->code;
  }
  outcome.whole = checker.at_boundary();
  return outcome;
}

/// Whatever the pieces are the verdict is the same; of a text that is refused within a frame more or less may
/// have passed.
Outcome check_pieces(std::string_view bytes, const MessageLimits& limits = {},
                     Sender sender = Sender::kClient) {
  Outcome whole = check(bytes, bytes.size(), limits, sender);
  for (size_t piece : {1, 2, 3, 5, 17}) {
    Outcome other = check(bytes, piece, limits, sender);
    EXPECT_EQ(other.why, whole.why);
    if (whole.code != kNotUtf8) EXPECT_EQ(other, whole) << piece;
  }
  return whole;
}

TEST(MessageChecker, WhatIsSoundPassesUnchanged) {
  std::string sound = text("hello") + text("frag", false) + ping("in between") + more("ments", false) +
                      more("") + frame(std::string(70000, 'x'), Opcode::kBinary) +
                      close_with(
                          "\x03\xe8"
                          "bye");
  Outcome outcome = check_pieces(sound);
  EXPECT_EQ(outcome.passed, sound);
  EXPECT_TRUE(outcome.whole);
  EXPECT_EQ(outcome.why, "");
}

// RFC 6455, sections 5.1 to 5.5, 7.4, 8.1.
TEST(MessageChecker, WhatTheRfcForbidsIsRefusedBeforeItIsPassedOn) {
  struct Row {
    std::string bytes;
    std::string_view why;
    uint16_t code = kProtocolError;
  };
  const Row kRows[] = {
      {frame("x", Opcode::kText, true, false), "frame without a mask"},
      {frame("x", static_cast<Opcode>(3)), "reserved opcode"},
      {frame("x", static_cast<Opcode>(11)), "reserved opcode"},
      {frame("x", Opcode::kText, true, true, 1), "reserved bits without an extension"},
      {frame("x", Opcode::kText, true, true, 4), "reserved bits without an extension"},
      {frame("x", Opcode::kPing, true, true, 4), "reserved bits without an extension"},
      {frame("x", Opcode::kPing, false), "bad control frame"},
      {frame(std::string(126, 'x'), Opcode::kPing), "bad control frame"},
      {more("x"), "frame out of order"},
      {text("x", false) + text("y"), "frame out of order"},
      {"\x82\xfe\x00\x05mask12345"s, "bad frame length"},
      {close_with("\x03"), "bad close frame"},
      {close_with("\x03\xec"), "bad close frame"},
      {close_with("\x03\xe8\xff"), "text is not UTF-8", kNotUtf8},
      {text("\xc0\xaf"), "text is not UTF-8", kNotUtf8},
      {text("\xce"), "text is not UTF-8", kNotUtf8},
      {text("\xce", false) + ping() + more("x"), "text is not UTF-8", kNotUtf8},
  };
  std::string before = text("before");
  for (const Row& row : kRows) {
    Outcome outcome = check_pieces(before + row.bytes);
    EXPECT_EQ(outcome.why, row.why);
    EXPECT_EQ(outcome.code, row.code) << row.why;
    EXPECT_TRUE(outcome.passed.starts_with(before));
    EXPECT_FALSE(outcome.passed.ends_with(row.bytes)) << row.why;
  }
  EXPECT_EQ(check_pieces(text("x"), {}, Sender::kServer).why, "masked frame");
  EXPECT_EQ(check_pieces(frame("x", Opcode::kText, true, false), {}, Sender::kServer).why, "");
}

// RFC 6455, section 1.4: what follows a close frame is discarded.
TEST(MessageChecker, WhatFollowsACloseFrameIsDropped) {
  for (const std::string& after : {text("x"), ping(), close_with(""), "\xff\xff\xff"s}) {
    Outcome outcome = check_pieces(text("before") + close_with("\x03\xe8") + after);
    EXPECT_EQ(outcome.passed, text("before") + close_with("\x03\xe8"));
    EXPECT_EQ(outcome.why, "");
    EXPECT_TRUE(outcome.whole);
  }
}

TEST(MessageChecker, CharactersMayBeCutByFramesAndPieces) {
  EXPECT_EQ(check_pieces(text("\xce", false) + ping("\xff") + more("\xba")).why, "");
  EXPECT_EQ(check_pieces(frame("\xff", Opcode::kBinary)).why, "");
}

// RFC 7692, section 6: RSV1 on the first frame of a message, once both have agreed on it.
TEST(MessageChecker, WhatIsCompressedIsNotLookedInto) {
  MessageLimits limits{.max_message = 3, .compression = true};
  auto first = [](std::string_view payload, int reserved = 4) {
    return frame(payload, Opcode::kText, false, true, reserved);
  };
  EXPECT_EQ(check_pieces(first("\xff") + ping() + more("\xfe"), limits).why, "");
  EXPECT_EQ(check_pieces(first("\xff") + more("\xfe\xfe\xfe"), limits).code, kMessageTooBig);
  EXPECT_EQ(check_pieces(first("x", 0) + more("\xff"), limits).code, kNotUtf8) << "not every message is";
  EXPECT_EQ(check_pieces(first("x", 6), limits).code, kProtocolError);
  EXPECT_EQ(check_pieces(first("x") + frame("y", Opcode::kContinuation, true, true, 4), limits).code,
            kProtocolError);
  EXPECT_EQ(check_pieces(frame("x", Opcode::kPing, true, true, 4), limits).code, kProtocolError);
}

TEST(MessageChecker, CountsMessagesAndKnowsTheCloseCode) {
  MessageChecker checker(Sender::kClient, {});
  checker.check(text("1") + text("2", false) + ping() + more("2") + text("3", false), Instant());
  EXPECT_EQ(checker.messages(), 3u);
  EXPECT_EQ(checker.close_code(), kNoStatus);
  checker.check(more("") + close_with("\x10\x92"), Instant());
  EXPECT_EQ(checker.close_code(), 4242);
}

TEST(MessageChecker, AMessageTooBigIsRefusedAtTheHeadThatMakesItSo) {
  MessageLimits limits{.max_message = 10};
  EXPECT_EQ(check_pieces(text("0123456789") + text("0123456789"), limits).why, "");
  Outcome outcome = check_pieces(text("0123456789a"), limits);
  EXPECT_EQ(outcome.code, kMessageTooBig);
  EXPECT_EQ(outcome.passed, "");
  EXPECT_TRUE(outcome.whole);
  outcome =
      check_pieces(text("01234", false) + ping("0123456789abc") + more("567", false) + more("89a"), limits);
  EXPECT_EQ(outcome.code, kMessageTooBig);
  EXPECT_EQ(outcome.passed, text("01234", false) + ping("0123456789abc") + more("567", false));
  EXPECT_TRUE(outcome.whole);
  // A length near 2^63 does not wrap.
  EXPECT_EQ(
      check_pieces(text("1", false) + "\x80\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x01\x02\x03\x04"s, limits)
          .code,
      kMessageTooBig);
}

TEST(MessageChecker, MoreMessagesThanTheRateAllowsAreRefused) {
  MessageLimits limits{.rate_count = 3, .rate_period = 3s};
  EXPECT_EQ(check_pieces(text("1") + text("2", false) + more("2") + text("3"), limits).why, "");
  Outcome outcome = check_pieces(text("1") + text("2") + text("3") + text("4"), limits);
  EXPECT_EQ(outcome.code, kPolicyViolation);
  EXPECT_EQ(outcome.passed, text("1") + text("2") + text("3"));
  // Pings count, and fragments that bring nothing; a goodbye does not.
  EXPECT_EQ(check_pieces(ping() + ping() + ping() + ping(), limits).code, kPolicyViolation);
  EXPECT_EQ(check_pieces(text("1", false) + more("", false) + more("", false) + more("", false), limits).code,
            kPolicyViolation);
  EXPECT_EQ(check_pieces(text("1") + text("2") + text("3") + close_with(""), limits).why, "");

  MessageChecker checker(Sender::kClient, limits);
  std::string one = text("1");
  Instant now{};
  for (int i = 0; i < 10; ++i) {
    if (i >= 3) now += 1s;
    checker.check(one, now);
    EXPECT_FALSE(checker.violation()) << i;
  }
  checker.check(one, now);
  EXPECT_TRUE(checker.violation());
}

TEST(MessageChecker, StopsAtTheBoundaryWhenItIsAskedTo) {
  MessageChecker checker(Sender::kClient, {});
  std::string first = text("first");
  checker.check(first.substr(0, 8), Instant());
  EXPECT_FALSE(checker.at_boundary());
  std::string rest = first.substr(8) + text("second");
  EXPECT_EQ(checker.check(rest, Instant(), true), first.size() - 8);
  EXPECT_TRUE(checker.at_boundary());
}

}  // namespace
}  // namespace sluice::http::websocket
