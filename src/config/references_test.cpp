#include "config/references.h"

#include <gtest/gtest.h>

#include "config/testing.h"

namespace sluice::config {
namespace {

struct Resolved {
  Resolved(std::string text, Environment environment, const ReferenceLimits& limits = {}) {
    const uint32_t file = diagnostics.sources().add("conf/a.yaml", std::move(text));
    root = parse_yaml(diagnostics.sources().text(file), file, arena, diagnostics);
    resolve_references(*root, "conf", environment, arena, diagnostics, files, limits);
  }
  std::string value(std::string_view key) const { return std::string(root->find(key)->text); }
  std::string message() const {
    return diagnostics.problems().empty() ? std::string() : diagnostics.problems()[0].message;
  }
  Arena arena;
  Diagnostics diagnostics;
  Node* root = nullptr;
  std::vector<std::string> files;
};

TEST(References, VariablesDefaultsAndEscapes) {
  Resolved read(
      "a: ${env:A}\nb: 'x${env:A}y${env:A}'\nc: '${env:NONE:-z w}'\nd: '$${env:A}'\ne: '${env:EMPTY:-d}'\n"
      "f: '${env:EMPTY}'\ng: cost $5 {}\nh: '$$${env:A}'\n",
      testing::environment_of({{"A", "1"}, {"EMPTY", ""}}));
  EXPECT_EQ(read.message(), "");
  EXPECT_EQ(read.value("a"), "1");
  EXPECT_EQ(read.value("b"), "x1y1");
  EXPECT_EQ(read.value("c"), "z w");
  EXPECT_EQ(read.value("d"), "${env:A}");
  EXPECT_EQ(read.value("e"), "d");
  EXPECT_EQ(read.value("f"), "");
  EXPECT_EQ(read.value("g"), "cost $5 {}");
  EXPECT_EQ(read.value("h"), "$${env:A}");
}

TEST(References, WhatCameOutIsNotResolvedAgain) {
  Resolved read("a: &x [ '${env:A}' ]\nb: *x\n", testing::environment_of({{"A", "${env:B}"}}));
  EXPECT_EQ(read.root->find("a")->items()[0].text, "${env:B}");
  EXPECT_EQ(read.message(), "");
}

TEST(References, FilesAreReadFromTheDocumentsFolderAndRemembered) {
  Resolved read("a: ${file:key.txt}\nb: ${file:/abs}\n",
                testing::environment_of({}, {{"conf/key.txt", "secret\n\n"}, {"/abs", "x\r\n"}}));
  EXPECT_EQ(read.value("a"), "secret\n");  // one newline goes
  EXPECT_EQ(read.value("b"), "x");
  EXPECT_EQ(read.files, (std::vector<std::string>{"conf/key.txt", "/abs"}));
}

TEST(References, WhatCannotBeResolvedIsAnErrorAtItsPlace) {
  const std::pair<std::string_view, std::string_view> kCases[] = {
      {"${env:NONE}",
       "the environment variable `NONE` is not set; `${env:NONE:-default}` gives it a default"},
      {"${env:A B}", "`A B` is not the name of an environment variable"},
      {"${file:none}", "cannot read `conf/none`: No such file or directory"},
      {"${env:A", "a `${` without its `}`; write `$${` for the characters themselves"},
      {"${HOME}",
       "a reference is `${env:NAME}`, `${env:NAME:-default}` or `${file:PATH}`; write `$${` for the "
       "characters "
       "themselves"}};
  for (const auto& [text, message] : kCases) {
    Resolved read("k:\n  - '" + std::string(text) + "'\n", testing::environment_of({}));
    EXPECT_EQ(read.message(), message);
    EXPECT_EQ(read.diagnostics.problems()[0].at, (Position{0, 2, 5}));
  }
}

TEST(References, KeysAreLeftAlone) {
  Resolved read("'${env:NONE}': 1\n", testing::environment_of({}));
  EXPECT_EQ(read.message(), "");
}

TEST(References, WhatFilesBringIsBounded) {
  const auto environment = testing::environment_of({}, {{"conf/big", std::string(100, 'x')}});
  EXPECT_EQ(Resolved("a: ${file:big}", environment, {.file_bytes = 99}).message(),
            "cannot read `conf/big`: it is too large");
  EXPECT_EQ(Resolved("a: '${file:big}${file:big}'", environment, {.total_bytes = 150}).message(),
            "the references of this document come to more than 150 bytes");
}

TEST(References, PathsStartAtTheFolder) {
  EXPECT_EQ(folder_of("a/b/c.yaml"), "a/b");
  EXPECT_EQ(folder_of("c.yaml"), ".");
  EXPECT_EQ(folder_of("/c.yaml"), "/");
  EXPECT_EQ(join_path("a/b", "x"), "a/b/x");
  EXPECT_EQ(join_path(".", "x"), "x");
  EXPECT_EQ(join_path("/", "x"), "/x");
  EXPECT_EQ(join_path("a", "/x"), "/x");
}

}  // namespace
}  // namespace sluice::config
