#include "telemetry/text.h"

#include <gtest/gtest.h>

#include <string>

namespace sluice::telemetry {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

std::string escaped(std::string_view text, size_t limit = 1000) {
  std::string out(limit + 8, '#');
  out.resize(static_cast<size_t>(append_escaped(out.data(), text, limit) - out.data()));
  return out;
}

// RFC 8259, section 7 (what must be escaped); RFC 3629, section 3 (what is UTF-8).
TEST(Text, EscapesWhatJsonForbids) {
  struct {
    std::string_view text, expected;
  } const cases[] = {
      {"", ""},
      {"plain text that is longer than eight", "plain text that is longer than eight"},
      {"say \"hi\" to C:\\dir and more text here", "say \\\"hi\\\" to C:\\\\dir and more text here"},
      {"a\nb\rc\td", "a\\nb\\rc\\td"},
      {std::string_view("\0\x01\x1f\x7f", 4), "\\u0000\\u0001\\u001f\x7f"},
      {"gr\xC3\xBC\xC3\x9F\xE2\x82\xAC\xF0\x9F\x98\x80!", "gr\xC3\xBC\xC3\x9F\xE2\x82\xAC\xF0\x9F\x98\x80!"},
      {"a\xFFz", "a\xEF\xBF\xBDz"},
      {"\xC3", "\xEF\xBF\xBD"},                                                  // cut off
      {"\xC0\xAF", "\xEF\xBF\xBD\xEF\xBF\xBD"},                                  // overlong
      {"\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},                  // a surrogate
      {"\xF4\x90\x80\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},  // beyond U+10FFFF
  };
  for (const auto& c : cases) EXPECT_EQ(escaped(c.text), c.expected);
}

TEST(Text, EveryByteAtEveryPlaceIsEscapedAlike) {
  for (int byte = 0; byte < 0x80; ++byte)
    for (size_t place = 0; place < 20; ++place) {
      std::string text(20, 'x');
      text[place] = static_cast<char>(byte);
      std::string expected =
          std::string(place, 'x') + escaped(text.substr(place, 1)) + std::string(19 - place, 'x');
      ASSERT_EQ(escaped(text), expected) << byte << " at " << place;
    }
}

TEST(Text, CutsBetweenCharactersWithinTheLimit) {
  EXPECT_EQ(escaped(std::string(100, 'a'), 20), std::string(17, 'a') + "...");
  for (size_t limit = 12; limit < 40; ++limit)
    for (std::string_view piece : {"\x01", "\"", "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "\xFF"}) {
      std::string text;
      for (int i = 0; i < 30; ++i) text += piece;
      std::string out = escaped(text, limit);
      ASSERT_LE(out.size(), limit);
      std::string one = escaped(piece);
      ASSERT_EQ((out.size() - 3) % one.size(), 0u);
      ASSERT_EQ(out.substr(out.size() - 3), "...");
    }
}

TEST(Text, FormatsTimes) {
  struct {
    WallTime time;
    std::string_view rfc3339, common;
  } const cases[] = {
      {WallTime{}, "1970-01-01T00:00:00.000Z", "01/Jan/1970:00:00:00 +0000"},
      {WallTime{seconds(1709210096) + milliseconds(7)}, "2024-02-29T12:34:56.007Z",
       "29/Feb/2024:12:34:56 +0000"},
      {WallTime{seconds(1709210096) + nanoseconds(999'999'999)}, "2024-02-29T12:34:56.999Z",
       "29/Feb/2024:12:34:56 +0000"},
      {WallTime{milliseconds(-1)}, "1969-12-31T23:59:59.999Z", "31/Dec/1969:23:59:59 +0000"},
  };
  TimeText text;
  for (const auto& c : cases) {
    char out[64];
    EXPECT_EQ(std::string(out, text.append_rfc3339(out, c.time)), c.rfc3339);
    EXPECT_EQ(std::string(out, text.append_common(out, c.time)), c.common);
  }
}

TEST(Text, FormatsSeconds) {
  char out[64];
  auto text = [&](Duration value) { return std::string(out, append_seconds(out, value)); };
  EXPECT_EQ(text(Duration(1'234'567)), "0.001234");
  EXPECT_EQ(text(seconds(75)), "75.000000");
  EXPECT_EQ(text(Duration(-1)), "0.000000");
  EXPECT_LE(text(Duration::max()).size(), 18u);
}

}  // namespace
}  // namespace sluice::telemetry
