#include "policies/transform/grpc_transcode/json_scanner.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sluice::policies::grpc {
namespace {

using Status = JsonScanner::Status;

/// The values of `text`, "..." when the last one goes on, "!" when it is no JSON.
std::vector<std::string> values(std::string_view text, size_t piece) {
  std::vector<std::string> out;
  JsonScanner scanner;
  std::string value;
  for (size_t at = 0; at < text.size(); at += piece) {
    std::string_view bytes = text.substr(at, piece);
    while (!bytes.empty()) {
      size_t used = 0;
      Status status = scanner.scan(bytes, used);
      value.append(bytes.substr(0, used));
      bytes.remove_prefix(used);
      if (status == Status::kMore) continue;
      out.push_back(status == Status::kWhole ? value : "!");
      if (status != Status::kWhole) return out;
      value.clear();
    }
  }
  if (scanner.between_values()) return out;
  out.push_back(scanner.end() == Status::kWhole ? value : "...");
  return out;
}

// RFC 8259
TEST(JsonScanner, ValuesEndWhereTheyEnd) {
  struct Case {
    std::string_view text;
    std::vector<std::string> values;
  };
  for (const Case& each : {
           Case{"", {}},
           Case{" \n\t\r ", {}},
           Case{"{}", {"{}"}},
           Case{"[]", {"[]"}},
           Case{R"({"a":1}{"b":[true,false,null]})", {R"({"a":1})", R"({"b":[true,false,null]})"}},
           Case{R"( {"a" : "}]\"\\" } )", {R"( {"a" : "}]\"\\" })"}},
           Case{"1 -2.5e+3 0", {"1", " -2.5e+3", " 0"}},
           Case{R"("\u00e9"7)", {R"("\u00e9")", "7"}},
           Case{"[1,2.0,[0],{\"a\":-0}]", {"[1,2.0,[0],{\"a\":-0}]"}},
           Case{"{\"a\":1", {"..."}},
           Case{"tru", {"..."}},
           Case{"-", {"..."}},
           Case{"1.", {"..."}},
       })
    for (size_t piece : {1, 2, 3, 100}) EXPECT_EQ(values(each.text, piece), each.values) << each.text;
}

TEST(JsonScanner, WhatIsNoJsonIsRefused) {
  for (std::string_view text :
       {"{'a':1}", "{a:1}",       "{\"a\":1,}", "[1,]",      "[,1]",     "{,}",        "nul1", "+1", ".5",
        "1.e5",    "1e",          "[1 2]",      "{\"a\" 1}", "{\"a\":}", "]",          "}",    "[}", "{]",
        "\"\\x\"", "\"\\u12g4\"", "\"a\nb\"",   "//x",       "NaN",      "{\"a\":1}}", "{1:2}"}) {
    auto seen = values(text, 1);
    EXPECT_TRUE(!seen.empty() && (seen.back() == "!" || seen.back() == "...")) << text;
  }
  // A number with a leading zero is two numbers, and something comes behind the first.
  EXPECT_EQ(values("01", 1), (std::vector<std::string>{"0", "1"}));
}

TEST(JsonScanner, NestingIsBounded) {
  std::string deep(JsonScanner::kMaxDepth, '[');
  size_t used = 0;
  JsonScanner good;
  EXPECT_EQ(good.scan(deep, used), Status::kMore);
  EXPECT_EQ(good.scan("[", used), Status::kDeep);
}

}  // namespace
}  // namespace sluice::policies::grpc
