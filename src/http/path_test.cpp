#include "http/path.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace sluice::http {
namespace {

struct Good {
  std::string_view raw;
  std::string_view path;
  std::string_view unmerged = {};  // empty: as path
};

// Contract, section 2 "Paths"; RFC 3986, sections 5.2.4 and 6.2.2.
constexpr Good kGood[] = {
    {"/", "/"},
    {"/a/b", "/a/b"},
    {"/a/b/", "/a/b/"},
    {"/%61%2D%5f%7E", "/a-_~"},          // unreserved decoded
    {"/%c3%a9/%3a", "/%C3%A9/%3A"},      // the rest upper-cased
    {"/a%2fb/%5c", "/a%2Fb/%5C"},        // encoded slashes are no separators
    {"/%252e%252e/x", "/%252e%252e/x"},  // decoded once
    {"/%25%32%65", "/%252e"},            // what decoding makes is not decoded again
    {"/a/./b", "/a/b"},
    {"/a/../b", "/b"},
    {"/a/b/..", "/a/"},
    {"/a/b/.", "/a/b/"},
    {"/a/..", "/"},
    {"/.", "/"},
    {"/a/%2e%2E/b", "/b"},
    {"/a/.%2e/b", "/b"},
    {"/a/..;/b", "/b"},  // path parameters on a dot segment
    {"/a/..;x=1;y/b", "/b"},
    {"/a/.;x/b", "/a/b"},
    {"/a/..;x", "/"},
    {"/a;x/b", "/a;x/b"},
    {"/a/...", "/a/..."},
    {"/a/.b/..c", "/a/.b/..c"},
    {"/a/..%3Bx/b", "/a/..%3Bx/b"},
    {"/a/..%2Fb", "/a/..%2Fb"},
    {"//a///b//", "/a/b/", "//a///b//"},
    {"/a//../b", "/a/b", "/a/b"},  // an empty segment is a segment
    {"/a//./b", "/a/b", "/a//b"},
    {"//..", "/", "/"},
    {"/[x]|{y}\"<>^`", "/[x]|{y}\"<>^`"},
};

TEST(Path, HasOneForm) {
  for (const Good& each : kGood) {
    Arena arena;
    auto result = normalise_path(each.raw, arena);
    ASSERT_TRUE(result) << each.raw;
    EXPECT_EQ(result->path, each.path) << each.raw;
    EXPECT_EQ(result->unmerged, each.unmerged.empty() ? each.path : each.unmerged) << each.raw;
  }
}

TEST(Path, BadOnesAreRefusedAndTheConnectionIsKept) {
  for (std::string_view raw : {"",      "a",    "/..",  "/a/../..", "/a/../../b", "/%2e%2e",   "/..;/x",
                               "/./..", "/%",   "/%4",  "/%4g",     "/%g4",       "/%00",      "/a%00b",
                               "/\\",   "/a#b", "/a b", "/\x7f",    "/\x01",      "/\xc3\xa9", "/a\tb"}) {
    Arena arena;
    auto result = normalise_path(raw, arena);
    ASSERT_FALSE(result) << raw;
    EXPECT_EQ(result.error()->status, 400);
    EXPECT_FALSE(result.error()->close);
  }
  Arena arena;
  EXPECT_FALSE(normalise_path(std::string_view("/\0", 2), arena));
}

TEST(Path, NothingToDoGivesTheInputItself) {
  Arena arena;
  std::string_view raw = "/api/v1/users/42";
  auto result = normalise_path(raw, arena);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->path.data(), raw.data());
  EXPECT_EQ(result->unmerged.data(), raw.data());
  EXPECT_EQ(arena.block_bytes(), 0u);
}

TEST(Path, WhatWasSeenIsTold) {
  struct Case {
    std::string_view raw;
    bool repeated, encoded;
  };
  for (Case each : {Case{"/a/b", false, false}, Case{"/a//b", true, false}, Case{"/a//../b", true, false},
                    Case{"/a%2Fb", false, true}, Case{"/a%5cb/../c", false, true},
                    Case{"/a%2F/b", false, true}, Case{"/%2e/a", false, false}}) {
    Arena arena;
    auto result = normalise_path(each.raw, arena);
    ASSERT_TRUE(result) << each.raw;
    EXPECT_EQ(result->had_repeated_slash, each.repeated) << each.raw;
    EXPECT_EQ(result->had_encoded_slash, each.encoded) << each.raw;
  }
}

TEST(Path, NormalisingTwiceChangesNothing) {
  constexpr std::string_view kPieces[] = {"/", "/", "/",   ".",   "..",  "%2e", "%2E%2e",
                                          ";", "a", "%2f", "%5C", "%25", "2e",  "x;y"};
  Random random(1);
  int good = 0;
  for (int i = 0; i < 20000; ++i) {
    Arena arena;
    std::string raw = "/";
    for (uint64_t n = random.below(12); n > 0; --n) raw += kPieces[random.below(std::size(kPieces))];
    auto once = normalise_path(raw, arena);
    if (!once) continue;
    ++good;
    for (std::string_view form : {once->path, once->unmerged}) {
      auto twice = normalise_path(form, arena);
      ASSERT_TRUE(twice) << raw;
      EXPECT_EQ(twice->path, once->path) << raw;
      EXPECT_EQ(twice->unmerged, form) << raw;
    }
  }
  EXPECT_GT(good, 5000);
}

TEST(Path, QueryIsCutAtTheFirstMarkAndUntouched) {
  SplitTarget split = split_target("/a?b=%zz?c");
  EXPECT_EQ(split.path, "/a");
  EXPECT_EQ(split.query, "b=%zz?c");
  EXPECT_TRUE(split.has_query);
  EXPECT_TRUE(split_target("/a?").has_query);
  EXPECT_FALSE(split_target("/a").has_query);
  EXPECT_EQ(check_query("b=%zz?c\\|//../"), nullptr);
  for (std::string_view bad : {"a#", "a b", "\x7f", "\xe9", "a\x01"})
    EXPECT_NE(check_query(bad), nullptr) << bad;
}

}  // namespace
}  // namespace sluice::http
