#include "http/websocket/frame.h"

#include <gtest/gtest.h>

#include <string>

#include "base/random.h"
#include "http/websocket/close.h"
#include "http/websocket/frame_reader.h"

namespace sluice::http::websocket {
namespace {

std::string head_bytes(const FrameHead& head) {
  std::array<char, kMaxHeadBytes> bytes;
  return {bytes.data(), write_frame_head(head, bytes)};
}

/// The frames of `bytes`, read in pieces of `piece` bytes: opcode, flags, unmasked payload.
std::string read(std::string_view bytes, size_t piece) {
  FrameReader reader;
  std::string text;
  while (!bytes.empty()) {
    std::string copy(bytes.substr(0, piece));  // reading beyond it is seen by ASan
    bytes.remove_prefix(copy.size());
    std::string_view input = copy;
    while (!input.empty()) {
      auto event = reader.next(input);
      if (event == FrameReader::Event::kBad) return text + "bad";
      if (event == FrameReader::Event::kHead) {
        const FrameHead& head = reader.head();
        text += std::to_string(static_cast<int>(head.opcode)) + (head.fin ? "" : "+") +
                (head.reserved ? "r" + std::to_string(head.reserved) : "") + (head.masked ? "m" : "") + ":";
      } else if (event == FrameReader::Event::kPayload) {
        std::string clear(reader.payload().size(), 0);
        std::array<char, 4> mask = reader.head().masked ? reader.head().mask : std::array<char, 4>{};
        copy_masked(reader.payload().data(), clear, mask, reader.payload_offset());
        text += clear;
      }
      if (event != FrameReader::Event::kNeedMore && reader.at_boundary()) text += ";";
    }
  }
  return text;
}

using namespace std::string_literals;

// RFC 6455, section 5.7.
TEST(WebSocketFrame, ExamplesOfTheRfc) {
  struct Row {
    std::string bytes;
    std::string_view means;
  };
  const Row kRows[] = {
      {"\x81\x05Hello"s, "1:Hello;"},
      {"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"s, "1m:Hello;"},
      {"\x01\x03Hel\x80\x02lo"s, "1+:Hel;0:lo;"},
      {"\x89\x05Hello"s, "9:Hello;"},
      {"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"s, "10m:Hello;"},
      {"\x82\x7e\x01\x00"s + std::string(256, 'x'), ""},
      {"\x82\x7f\0\0\0\0\0\x01\0\0"s + std::string(65536, 'x'), ""},
      {"\xc1\0\x82\0"s, "1r4:;2:;"},
  };
  for (const Row& row : kRows) {
    std::string means = row.means.empty()
                            ? "2:" + std::string(row.bytes.size() > 1000 ? 65536 : 256, 'x') + ";"
                            : std::string(row.means);
    for (size_t piece : {1, 2, 3, 7, 100000}) EXPECT_EQ(read(row.bytes, piece), means) << piece;
  }
}

// Section 5.2: the minimal number of bytes; the top bit of eight is zero.
TEST(WebSocketFrame, LengthsInALongerFormAreBad) {
  for (std::string bytes : {"\x82\x7e\x00\x7d"s, "\x82\x7e\x00\x00"s, "\x82\x7f\0\0\0\0\0\0\xff\xff"s,
                            "\x82\xff\0\0\0\0\0\0\0\x05mask"s, "\x82\x7f\x80\0\0\0\0\0\0\0"s})
    for (size_t piece : {1, 100}) EXPECT_EQ(read(bytes, piece), "bad");
}

TEST(WebSocketFrame, WhatIsWrittenIsReadAsTheSame) {
  for (uint64_t length : {0UL, 1UL, 125UL, 126UL, 65535UL, 65536UL, uint64_t{INT64_MAX}}) {
    for (bool masked : {false, true}) {
      FrameHead head{.fin = length % 2 == 0,
                     .reserved = 5,
                     .opcode = Opcode::kText,
                     .masked = masked,
                     .mask = {1, 2, 3, 4},
                     .length = length};
      std::string bytes = head_bytes(head);
      FrameReader reader;
      std::string_view input = bytes;
      ASSERT_EQ(reader.next(input), FrameReader::Event::kHead);
      EXPECT_TRUE(input.empty());
      EXPECT_EQ(reader.head().length, length);
      EXPECT_EQ(reader.head().fin, head.fin);
      EXPECT_EQ(reader.head().reserved, 5);
      EXPECT_EQ(reader.head().masked, masked);
      if (masked) EXPECT_EQ(reader.head().mask, head.mask);
      EXPECT_EQ(reader.at_boundary(), length == 0);
    }
  }
}

TEST(WebSocketFrame, MaskingIsByteByByteWhateverTheOffset) {
  Random random(1);
  const std::array<char, 4> mask{'\x12', '\x80', '\xff', '\x01'};
  for (size_t size = 0; size < 40; ++size) {
    for (uint64_t offset : {0UL, 1UL, 2UL, 3UL, 4UL, 65537UL}) {
      std::string bytes(size, 0);
      for (char& c : bytes) c = static_cast<char>(random.next());
      std::string expected = bytes;
      for (size_t i = 0; i < size; ++i) expected[i] = static_cast<char>(expected[i] ^ mask[(offset + i) % 4]);
      apply_mask(bytes, mask, offset);
      EXPECT_EQ(bytes, expected);
    }
  }
}

TEST(WebSocketClose, FramesOfBothSides) {
  EXPECT_EQ(read(CloseFrame({kGoingAway, "bye"}).bytes(), 100),
            "8:\x03\xe9"
            "bye;");
  EXPECT_EQ(read(CloseFrame({kGoingAway, "bye"}, {1, 2, 3, 4}).bytes(), 100),
            "8m:\x03\xe9"
            "bye;");
  // What is too long for a control frame is cut (section 5.5).
  std::string text(200, 'x');
  EXPECT_EQ(CloseFrame({kGoingAway, text}).bytes().size(), 127u);
}

// Section 7.4; Autobahn's cases 7.7 and 7.9.
TEST(WebSocketClose, CodesThatMayBeSent) {
  for (uint16_t code :
       {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999})
    EXPECT_TRUE(may_be_sent(code)) << code;
  for (uint16_t code : {0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535})
    EXPECT_FALSE(may_be_sent(code)) << code;
}

}  // namespace
}  // namespace sluice::http::websocket
