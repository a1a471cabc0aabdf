#include "http/field_name.h"

#include <gtest/gtest.h>

#include "base/ascii.h"

namespace sluice::http {
namespace {

FieldName name_at(int i) { return static_cast<FieldName>(i); }

TEST(FieldName, EveryNameIsFoundWhateverItsCase) {
  for (int i = 1; i < static_cast<int>(FieldName::kCount); ++i) {
    std::string text(field_name_text(name_at(i)));
    std::string upper = text;
    for (char& c : upper) c = static_cast<char>(std::toupper(c));
    EXPECT_EQ(intern_field_name(text), name_at(i)) << text;
    EXPECT_EQ(intern_field_name(ascii::to_lower(text)), name_at(i)) << text;
    EXPECT_EQ(intern_field_name(upper), name_at(i)) << text;
  }
}

TEST(FieldName, OneByteOffIsAnotherName) {
  for (int i = 1; i < static_cast<int>(FieldName::kCount); ++i) {
    std::string text(field_name_text(name_at(i)));
    for (size_t at = 0; at < text.size(); ++at) {
      for (int byte = 0; byte < 256; ++byte) {
        std::string other = text;
        other[at] = static_cast<char>(byte);
        if (ascii::equal_ignoring_case(other, text)) continue;
        EXPECT_NE(intern_field_name(other), name_at(i)) << text << " at " << at << " byte " << byte;
      }
    }
    EXPECT_NE(intern_field_name(text + "s"), name_at(i));
    EXPECT_NE(intern_field_name(std::string_view(text).substr(1)), name_at(i));
  }
}

TEST(FieldName, UnderscoresCanBeReadAsDashes) {
  EXPECT_EQ(intern_dashed_field_name("x_forwarded-FOR"), FieldName::kXForwardedFor);
  EXPECT_EQ(intern_dashed_field_name("X-Forwarded-For"), FieldName::kXForwardedFor);
  EXPECT_EQ(intern_dashed_field_name("X_Other"), FieldName::kUnknown);
  EXPECT_EQ(intern_dashed_field_name("a_name_that_is_much_longer_than_any_of_ours"), FieldName::kUnknown);
}

TEST(FieldName, OtherTextsAreUnknown) {
  for (std::string_view text : {"", "a", "X-Api-Key", "Content-Lengt", "Content_Length",
                                "Proxy-Authorizations", "a-name-that-is-much-longer-than-any-of-ours"})
    EXPECT_EQ(intern_field_name(text), FieldName::kUnknown) << text;
  EXPECT_EQ(field_name_text(FieldName::kUnknown), "");
}

}  // namespace
}  // namespace sluice::http
