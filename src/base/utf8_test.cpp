#include "base/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace sluice {
namespace {

/// The code point at the start of `text` by RFC 3629's own table, its size, or 0 when there is none.
size_t character(std::string_view text) {
  auto byte = [&](size_t i) { return i < text.size() ? static_cast<uint8_t>(text[i]) : 0; };
  if (byte(0) < 0x80) return 1;
  size_t size = byte(0) >= 0xf0 ? 4 : byte(0) >= 0xe0 ? 3 : 2;
  if (byte(0) < 0xc0 || byte(0) > 0xf7 || text.size() < size) return 0;
  uint32_t point = byte(0) & (0xff >> (size + 1));
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    point = point << 6 | (byte(i) & 0x3f);
  }
  static constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  if (point < kLeast[size] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) return 0;
  return size;
}

bool by_the_book(std::string_view text) {
  while (!text.empty()) {
    size_t size = character(text);
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

TEST(Utf8, AllPairsOfBytesAndWhatMayFollowThem) {
  for (int first = 0; first < 256; ++first)
    for (int second = 0; second < 256; ++second)
      for (std::string_view tail : {"", "\x80", "\xbf\x80", "a", "\x80\x80\x80"}) {
        std::string text{static_cast<char>(first), static_cast<char>(second)};
        text += tail;
        ASSERT_EQ(is_utf8(text), by_the_book(text)) << first << " " << second << " " << tail.size();
      }
}

TEST(Utf8, PiecesMakeNoDifference) {
  const std::string text = "twelve bytes and \xce\xba\xe1\xbd\xb9\xcf\x83\xf0\x9f\x98\x80, ends";
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    Utf8Checker checker;
    EXPECT_TRUE(checker.feed(std::string_view(text).substr(0, cut)));
    EXPECT_EQ(checker.complete(), by_the_book(std::string_view(text).substr(0, cut)));
    EXPECT_TRUE(checker.feed(std::string_view(text).substr(cut)));
    EXPECT_TRUE(checker.complete());
  }
}

// Autobahn's case 6.4: at once, not at the end of the message.
TEST(Utf8, FailsAtTheFirstByteThatCannotBe) {
  Utf8Checker checker;
  EXPECT_TRUE(checker.feed("\xf4"));
  EXPECT_FALSE(checker.feed("\x90"));
  EXPECT_FALSE(checker.feed("a"));
}

}  // namespace
}  // namespace sluice
