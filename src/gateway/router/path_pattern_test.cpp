#include "gateway/router/path_pattern.h"

#include <gtest/gtest.h>

#include "gateway/router/route_spec.h"

namespace sluice::gateway {
namespace {

/// "a {b} {c**}", or "error".
std::string parsed(std::string_view path, bool keep = false) {
  auto pattern = parse_path_pattern(path, keep);
  if (!pattern) return "error";
  std::string out;
  for (const PatternSegment& segment : *pattern) {
    if (!out.empty()) out += ' ';
    switch (segment.kind) {
      case PatternSegment::Kind::kLiteral:
        out += "'" + segment.text + "'";
        break;
      case PatternSegment::Kind::kParameter:
        out += "{" + segment.text + "}";
        break;
      case PatternSegment::Kind::kRest:
        out += segment.text + "**";
    }
  }
  return out;
}

TEST(PathPattern, IsTakenApartIntoSegments) {
  EXPECT_EQ(parsed("/"), "''");
  EXPECT_EQ(parsed("/a/{b}/c/{d**}"), "'a' {b} 'c' d**");
  EXPECT_EQ(parsed("/**"), "**");
  EXPECT_EQ(parsed("/a/"), "'a' ''");
  EXPECT_EQ(parsed("/a//b/"), "'a' 'b' ''");
  EXPECT_EQ(parsed("//a//b//", true), "'' 'a' '' 'b' '' ''");
  EXPECT_EQ(parsed("/{user-id}/{v1.x_y}"), "{user-id} {v1.x_y}");
  EXPECT_EQ(parsed("/a*b/x:y;v=1,@!$&'()+="), "'a*b' 'x:y;v=1,@!$&'()+='");
}

// Contract, section 2, "Paths".
TEST(PathPattern, LiteralsAreNormalisedLikeARequestsPath) {
  EXPECT_EQ(parsed("/%61%7e%2D"), "'a~-'");
  EXPECT_EQ(parsed("/%2f%5c%c3%a9%3a"), "'%2F%5C%C3%A9%3A'");
  EXPECT_EQ(parsed("/%7Bid%7D"), "'%7Bid%7D'");
}

TEST(PathPattern, RefusesWhatNoRequestCouldHave) {
  for (std::string_view path :
       {"", "a", "/%", "/%4", "/%zz", "/%00", "/a\\b", "/a#b", "/a?b", "/a b", "/a\tb", "/\xc3\xa9", "/.",
        "/..", "/a/../b", "/%2e%2E/b", "/..;x/b", "/.;/b"})
    EXPECT_EQ(parsed(path), "error") << path;
}

TEST(PathPattern, RefusesParametersThatAreNotWholeSegments) {
  for (std::string_view path :
       {"/{}", "/{**}", "/a{b}", "/{a}b", "/{a}{b}", "/{a", "/a}", "/{a b}", "/{a*}", "/{a/b}", "/*", "/a**",
        "/**/a", "/{r**}/a", "/**/", "/{a}/{a}", "/{a}/{a**}"})
    EXPECT_EQ(parsed(path), "error") << path;
}

TEST(PathPattern, IsBounded) {
  std::string deep;
  for (size_t i = 0; i < kMaxPatternSegments; ++i) deep += "/a";
  EXPECT_NE(parsed(deep), "error");
  EXPECT_EQ(parsed(deep + "/a"), "error");
  EXPECT_EQ(parsed("/" + std::string(kMaxPatternBytes, 'a')), "error");
  EXPECT_EQ(parsed("/{" + std::string(kMaxParameterNameBytes + 1, 'a') + "}"), "error");
}

}  // namespace
}  // namespace sluice::gateway
