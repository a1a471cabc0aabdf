#include <gtest/gtest.h>

#include "config/diagnostics.h"
#include "config/node.h"
#include "config/testing.h"

namespace sluice::config {
namespace {

struct Parse {
  explicit Parse(std::string text, const TreeLimits& limits = {}) {
    const uint32_t file = diagnostics.sources().add("a.yaml", std::move(text));
    root = parse_yaml(diagnostics.sources().text(file), file, arena, diagnostics, limits);
  }
  Arena arena;
  Diagnostics diagnostics;
  Node* root = nullptr;
};

TEST(Yaml, EveryKeyAndValueKnowsItsPlace) {
  Parse parse("a: 1\nb:\n  - x\n  - { c: 'd e' }\n");
  ASSERT_TRUE(parse.root);
  const Node& list = *parse.root->find("b");
  EXPECT_EQ(parse.root->key(1).at, (Position{0, 2, 1}));
  EXPECT_EQ(list.items()[0].at, (Position{0, 3, 5}));
  const Node& value = *list.items()[1].find("c");
  EXPECT_EQ(value.at, (Position{0, 4, 10}));
  EXPECT_EQ(value.end_column, 15u);
  EXPECT_TRUE(value.quoted);
  EXPECT_EQ(value.text, "d e");
}

TEST(Yaml, JsonIsASubset) {
  Parse parse(R"({"a": [1, true, null, "x\n\/"], "b": {"c":1.5}})");
  ASSERT_TRUE(parse.root);
  const auto items = parse.root->find("a")->items();
  EXPECT_EQ(scalar_kind(items[0]), ScalarKind::kInteger);
  EXPECT_EQ(scalar_kind(items[1]), ScalarKind::kBoolean);
  EXPECT_EQ(scalar_kind(items[2]), ScalarKind::kNull);
  EXPECT_EQ(items[3].text, "x\n/");
  EXPECT_EQ(scalar_kind(*parse.root->find("b")->find("c")), ScalarKind::kNumber);
}

// YAML 1.2.2, section 10.3.2.
TEST(Yaml, PlainScalarsAreOfTheCoreSchema) {
  const std::pair<std::string_view, ScalarKind> kCases[] = {
      {"", ScalarKind::kNull},        {"~", ScalarKind::kNull},        {"null", ScalarKind::kNull},
      {"true", ScalarKind::kBoolean}, {"False", ScalarKind::kBoolean}, {"yes", ScalarKind::kString},
      {"on", ScalarKind::kString},    {"NO", ScalarKind::kString},     {"-12", ScalarKind::kInteger},
      {"+7", ScalarKind::kInteger},   {"0x1F", ScalarKind::kInteger},  {"0o17", ScalarKind::kInteger},
      {"0x", ScalarKind::kString},    {"1.5", ScalarKind::kNumber},    {".5", ScalarKind::kNumber},
      {"1.", ScalarKind::kNumber},    {"1e3", ScalarKind::kNumber},    {"-1.5E-3", ScalarKind::kNumber},
      {".inf", ScalarKind::kNumber},  {".", ScalarKind::kString},      {"1.2.3", ScalarKind::kString},
      {"12h", ScalarKind::kString},   {"-", ScalarKind::kString},      {"1:30", ScalarKind::kString}};
  for (const auto& [text, kind] : kCases) {
    Node node;
    node.text = text;
    EXPECT_EQ(scalar_kind(node), kind) << text;
    node.quoted = true;
    EXPECT_EQ(scalar_kind(node), ScalarKind::kString) << text;
  }
}

TEST(Yaml, DuplicateKeysAreErrors) {
  Parse few("a: 1\nb: 2\na: 3\n");
  EXPECT_EQ(testing::summary(few.diagnostics), "3:1 duplicate-key\n");
  EXPECT_EQ(few.diagnostics.problems()[0].message, "`a` is given twice, first in line 1");
  std::string text;
  for (int i = 0; i < 100; ++i) text += "k" + std::to_string(i) + ": 1\n";
  Parse many(text + "k7: 2\n");
  EXPECT_EQ(many.diagnostics.problems()[0].message, "`k7` is given twice, first in line 8");
}

TEST(Yaml, AliasesStandForTheirAnchor) {
  Parse parse("a: &x { b: [1, 2] }\nc: *x\n");
  ASSERT_TRUE(parse.root);
  EXPECT_EQ(parse.root->find("c")->find("b")->items()[1].text, "2");
}

TEST(Yaml, ExpandedAliasesAreBounded) {
  std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 10; ++j) text += before + ", ";
    text += "]\n";
  }
  Parse parse(text);
  EXPECT_FALSE(parse.root);
  EXPECT_EQ(parse.diagnostics.problems()[0].rule, "document-too-large");
}

TEST(Yaml, AnAliasWithinItsOwnAnchorIsRefused) {
  Parse parse("a: &x [ *x ]\n");
  EXPECT_FALSE(parse.root);
  EXPECT_EQ(testing::summary(parse.diagnostics), "1:9 unknown-alias\n");
}

TEST(Yaml, DepthIsBoundedAlsoThroughAliases) {
  EXPECT_FALSE(Parse(std::string(100, '[') + std::string(100, ']')).root);
  EXPECT_TRUE(Parse(std::string(60, '[') + std::string(60, ']')).root);
  const std::string deep = std::string(40, '[') + std::string(40, ']');
  Parse parse("[&a " + deep + ", " + std::string(40, '[') + "*a" + std::string(40, ']') + "]");
  EXPECT_FALSE(parse.root);
  EXPECT_EQ(parse.diagnostics.problems()[0].rule, "document-too-deep");
}

TEST(Yaml, SizeAndNodesAreBounded) {
  EXPECT_FALSE(Parse("a: bcdefgh", {.bytes = 5}).root);
  EXPECT_FALSE(Parse("[1, 2, 3, 4]", {.nodes = 4}).root);
  EXPECT_TRUE(Parse("[1, 2, 3]", {.nodes = 4}).root);
}

TEST(Yaml, WhatCannotBeReadIsSaidWithItsPlace) {
  EXPECT_EQ(testing::summary(Parse("a: [1, 2\nb: 3\n").diagnostics), "2:2 syntax\n");
  EXPECT_EQ(testing::summary(Parse("a: b\nc: \xff\n").diagnostics), "2:4 encoding\n");
  EXPECT_EQ(testing::summary(Parse("a: 1\n---\nb: 2\n").diagnostics), "2:1 several-documents\n");
  EXPECT_EQ(testing::summary(Parse("a: !!binary x\n").diagnostics), "1:4 tag\n");
  EXPECT_EQ(testing::summary(Parse("? [a]\n: 1\n").diagnostics), "1:3 key-not-scalar\n");
}

TEST(Yaml, AnEmptyDocumentIsNothing) {
  Parse parse("# only a comment\n");
  ASSERT_TRUE(parse.root);
  EXPECT_EQ(describe(*parse.root), "nothing");
}

}  // namespace
}  // namespace sluice::config
