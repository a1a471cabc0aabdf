#include "base/ascii.h"

#include <gtest/gtest.h>

namespace sluice::ascii {
namespace {

TEST(Ascii, LowerAndHexKnowTheirCharactersOnly) {
  constexpr std::string_view kDigits = "0123456789abcdefABCDEF";
  for (int c = 0; c < 256; ++c) {
    char given = static_cast<char>(c);
    EXPECT_EQ(lower(given), c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : given) << c;
    size_t at = kDigits.find(given);
    int value = at == std::string_view::npos ? -1 : static_cast<int>(at < 16 ? at : at - 6);
    EXPECT_EQ(hex_value(given), value) << c;
  }
}

TEST(Ascii, ComparesWithoutCase) {
  EXPECT_TRUE(equal_ignoring_case("Content-Length", "content-LENGTH"));
  EXPECT_FALSE(equal_ignoring_case("a", "ab"));
  EXPECT_FALSE(equal_ignoring_case("@", "`"));  // differ in the bit that tells cases apart
}

TEST(Ascii, TrimsSpacesAndTabsOnly) {  // RFC 9110, section 5.6.3
  EXPECT_EQ(trim(" \t a b\t "), "a b");
  EXPECT_EQ(trim(" \t"), "");
  EXPECT_EQ(trim("\na"), "\na");
}

TEST(Ascii, DecimalsAreDigitsThatFit) {
  EXPECT_EQ(parse_decimal("007"), 7u);
  EXPECT_EQ(parse_decimal("18446744073709551615"), UINT64_MAX);
  for (const char* text : {"", "18446744073709551616", "99999999999999999999", "-1", "+1", " 1", "1 ", "0x1"})
    EXPECT_FALSE(parse_decimal(text)) << text;
}

TEST(Ascii, CaseIsIgnoredOfLettersAloneAtEveryPlace) {
  for (int a = 0; a < 256; ++a)
    for (int b = 0; b < 256; ++b)
      for (size_t place : {0u, 7u, 9u}) {  // in a whole word and in what is left of it
        std::string left = "0123456789a";
        std::string right = left;
        left[place] = static_cast<char>(a);
        right[place] = static_cast<char>(b);
        bool same = lower(static_cast<char>(a)) == lower(static_cast<char>(b));
        ASSERT_EQ(equal_ignoring_case(left, right), same) << a << " and " << b << " at " << place;
      }
}

}  // namespace
}  // namespace sluice::ascii
