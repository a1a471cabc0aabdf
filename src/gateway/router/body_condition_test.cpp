#include "gateway/router/body_condition.h"

#include <gtest/gtest.h>

namespace sluice::gateway {
namespace {

/// The value at `path`, or "(none)".
std::string value_at(std::string_view path, std::string_view bytes, bool complete = true) {
  BodyPaths paths;
  auto number = paths.add(path);
  if (!number) return "(bad path)";
  return paths.read({bytes, complete})[*number].value_or("(none)");
}

struct BodyCase {
  std::string_view path, body, expected;
};

TEST(BodyCondition, FindsScalarsByPath) {
  const BodyCase cases[] = {
      {"$.kind", R"({"kind":"bulk"})", "bulk"},
      {"$.a.b[0]", R"({"x":1,"a":{"c":[9],"b":[true,false]}})", "true"},
      {"$.a.b[1]", R"({"a":{"b":["x", {"y":1}]}})", "(none)"},
      {"$.a.b[1].y", R"({"a":{"b":["x", {"y":null}]}})", "null"},
      {"$[2]", "[1,[2,2],-3.50e1]", "-3.50e1"},
      {"$", R"( "alone" )", "alone"},
      {"$", "12", "12"},
      {R"($["a b"]['c.d'])", R"({"a b":{"c.d":1}})", "1"},
      {"$.a", R"({"a":"x\u0041\n\ud83d\ude00"})", "xA\n\xf0\x9f\x98\x80"},
      {"$.kind", R"({"k\u0069nd":"bulk"})", "bulk"},
      {"$.n", R"({"n":123456789012345678901234567890})", "123456789012345678901234567890"},
      {"$.n", R"({"n":1.0})", "1.0"},
      {"$.a", R"({"a":""})", ""},
      {"$.a", R"({"b":{"a":1}})", "(none)"},
      {"$.a[0]", R"({"a":{"0":1}})", "(none)"},
      {"$.a.0", R"({"a":[1]})", "(none)"},
      {"$.a", R"({"a":[1]})", "(none)"},
      {"$.a", "", "(none)"},
      {"$.a", "[]", "(none)"},
      {"$.a", "a=1", "(none)"},
  };
  for (const BodyCase& c : cases) EXPECT_EQ(value_at(c.path, c.body), c.expected) << c.path << " " << c.body;
}

// Contract, section 2: "on a prefix". What was read whole before the cut counts.
TEST(BodyCondition, WhatWasSeenBeforeTheCutCounts) {
  const std::string_view body = R"({"a":12,"kind":"bulk","n":345})";
  for (size_t size = 0; size <= body.size(); ++size) {
    std::string_view prefix = body.substr(0, size);
    EXPECT_EQ(value_at("$.a", prefix, false), size > prefix.find("12") + 2 && size >= 8 ? "12" : "(none)")
        << prefix;
    EXPECT_EQ(value_at("$.kind", prefix, false), size >= body.find(",\"n\"") ? "bulk" : "(none)") << prefix;
    EXPECT_EQ(value_at("$.n", prefix, false), size == body.size() ? "345" : "(none)") << prefix;
  }
  EXPECT_EQ(value_at("$", "12", false), "(none)") << "more digits may follow";
}

TEST(BodyCondition, NothingCountsBehindAnError) {
  EXPECT_EQ(value_at("$.a", R"({"b":tru,"a":1})"), "(none)");
  EXPECT_EQ(value_at("$.a", R"({"a":1,"b":tru})"), "1");
  EXPECT_EQ(value_at("$.a", R"({'a':1})"), "(none)");
  EXPECT_EQ(value_at("$.a", R"({"x":1,/**/"a":1})"), "(none)");
  EXPECT_EQ(value_at("$.a", R"({"b":"
","a":1})"),
            "(none)")
      << "a raw line feed in a string";
  EXPECT_EQ(value_at("$.a", "{\"b\":\"\xff\",\"a\":1}"), "(none)");
  EXPECT_EQ(value_at("$.a", "\xef\xbb\xbf{\"a\":1}"), "(none)");
}

// A security decision, see body_condition.h: parsers disagree on which of two counts.
TEST(BodyCondition, RepeatedNameIsAbsent) {
  EXPECT_EQ(value_at("$.a", R"({"a":1,"a":1})"), "(none)");
  EXPECT_EQ(value_at("$.a", R"({"a":1,"b":2,"\u0061":3})"), "(none)");
  EXPECT_EQ(value_at("$.a.b", R"({"a":{"b":1},"a":{}})"), "(none)");
  EXPECT_EQ(value_at("$.a.b", R"({"a":{"b":1},"a":5})"), "(none)");
  EXPECT_EQ(value_at("$.a.b", R"({"a":5,"a":{"b":1}})"), "(none)");
  EXPECT_EQ(value_at("$.a", R"({"a":1,"b":{"a":2},"c":[{"a":3}]})"), "1");
  EXPECT_EQ(value_at("$.a", R"({"a":1,"b":2,"b":3})"), "1");
  std::string many = R"({"a":1)";
  for (int i = 0; i < 600; ++i) {
    many += R"(,"a":1)";
    EXPECT_EQ(value_at("$.a", many + "}"), "(none)") << i;
  }
}

TEST(BodyCondition, NestingIsBounded) {
  auto nested = [](size_t depth) {
    return R"({"b":)" + std::string(depth - 1, '[') + std::string(depth - 1, ']') + R"(,"a":1})";
  };
  EXPECT_EQ(value_at("$.a", nested(kMaxJsonDepth)), "1");
  EXPECT_EQ(value_at("$.a", nested(kMaxJsonDepth + 1)), "(none)");
  EXPECT_EQ(value_at("$.a", std::string(kBodyPrefixBytes, '[')), "(none)");
}

TEST(BodyCondition, NothingBeyondThePrefixIsRead) {
  std::string far = R"({"b":")" + std::string(kBodyPrefixBytes, 'x') + R"(","a":1})";
  EXPECT_EQ(value_at("$.a", far), "(none)");
  EXPECT_EQ(value_at("$.a", R"({"a":1,)" + far.substr(1)), "1");
}

TEST(BodyCondition, ReadsManyPathsInOnePass) {
  BodyPaths paths;
  EXPECT_EQ(*paths.add("$.b"), 0u);
  EXPECT_EQ(*paths.add("$.a[1]"), 1u);
  EXPECT_EQ(*paths.add("$.a.x"), 2u);
  EXPECT_EQ(*paths.add("$[\"b\"]"), 0u);
  BodyValues values = paths.read({R"({"a":[0,"one"],"b":false})", true});
  EXPECT_EQ(values[0], "false");
  EXPECT_EQ(values[1], "one");
  EXPECT_EQ(values[2], std::nullopt);
}

TEST(BodyCondition, RefusesBadPaths) {
  for (std::string_view path : {"", "a", ".a", "$a", "$.", "$..a", "$.a.", "$[", "$[]", "$[x]", "$[-1]",
                                "$[65536]", "$[0", "$[\"a]", "$[\"a\"", "$.a b", "$.*", "$[*]", "$.a]"})
    EXPECT_EQ(value_at(path, "{}"), "(bad path)") << path;
}

}  // namespace
}  // namespace sluice::gateway
