#include "policies/transform/grpc_transcode/http_template.h"

#include <gtest/gtest.h>

#include "gateway/router/path_pattern.h"

namespace sluice::policies::grpc {
namespace {

// google/api/http.proto and google.aip.dev/127 have these paths.
TEST(HttpTemplate, BecomesAPathOfTheRouterAndAVerb) {
  struct Case {
    std::string_view text, path, suffix;
  };
  for (const Case& each : {
           Case{"/v1/messages", "/v1/messages", ""},
           Case{"/", "/", ""},
           Case{"/v1/messages/{message_id}", "/v1/messages/{1}", ""},
           Case{"/v1/{name=messages/*}", "/v1/messages/{1}", ""},
           Case{"/v1/users/{user_id}/messages/{message_id}", "/v1/users/{1}/messages/{2}", ""},
           Case{"/v1/{name=shelves/*/books/*}", "/v1/shelves/{1}/books/{2}", ""},
           Case{"/v1/{name=shelves/*/books/*}:archive", "/v1/shelves/{1}/books/{2}", ":archive"},
           Case{"/v1/messages:batchGet", "/v1/messages:batchGet", ""},
           Case{"/v1/*/x", "/v1/{1}/x", ""},
           Case{"/v1/{path=**}", "/v1/**", ""},
           Case{"/v1/{path=folders/**}:list", "/v1/folders/**", ":list"},
           Case{"/v1/{book.name=shelves/*}", "/v1/shelves/{1}", ""},
           Case{"/v1/{kind=books}", "/v1/books", ""},
       }) {
    auto parsed = HttpTemplate::parse(each.text);
    ASSERT_TRUE(parsed) << each.text << " " << parsed.error();
    EXPECT_EQ(parsed->route_path(), each.path);
    EXPECT_EQ(parsed->suffix(), each.suffix);
    EXPECT_TRUE(gateway::parse_path_pattern(parsed->route_path(), false)) << each.text;
  }
}

TEST(HttpTemplate, WhatIsNoTemplateIsRefused) {
  for (std::string_view text :
       {"",         "v1",         "/v1/",         "/v1//x",   "/v1/{x",      "/v1/{}",
        "/v1/{x=}", "/v1/{x=*}}", "/v1/{1x}",     "/v1/{x.}", "/v1/{.x}",    "/v1/{x}{y}",
        "/v1/a{x}", "/v1/**/x",   "/v1/{x=**}/y", "/v1/a*",   "/v1/{x}/{x}", "/v1/{x={y}}",
        "/v1/x:",   "/v1/a:b/c",  "/v1/{x=*"})
    EXPECT_FALSE(HttpTemplate::parse(text)) << text;
}

TEST(HttpTemplate, VariablesHoldTheirSegmentsDecoded) {
  struct Case {
    std::string_view text, path;
    std::vector<std::string_view> values;
  };
  Arena arena;
  for (const Case& each : {
           Case{"/v1/messages/{id}", "/v1/messages/7", {"7"}},
           Case{"/v1/{name=messages/*}", "/v1/messages/7", {"messages/7"}},
           Case{"/v1/{a}/x/{b}", "/v1/1/x/2", {"1", "2"}},
           Case{"/v1/{name=shelves/*/books/*}:archive",
                "/v1/shelves/1/books/2:archive",
                {"shelves/1/books/2"}},
           Case{"/v1/{id}:cancel", "/v1/a:b:cancel", {"a:b"}},
           Case{"/v1/{path=**}", "/v1/a/b/c", {"a/b/c"}},
           Case{"/v1/{path=**}", "/v1", {""}},
           Case{"/v1/{path=folders/**}", "/v1/folders", {"folders"}},
           Case{"/v1/{path=folders/**}:list", "/v1/folders/a/b:list", {"folders/a/b"}},
           // "A variable of one segment is decoded, one of several keeps its %2F".
           Case{"/v1/{id}", "/v1/a%2Fb%20c%3A", {"a/b c:"}},
           Case{"/v1/{path=**}", "/v1/a%2Fb/c%20d", {"a%2Fb/c d"}},
           Case{"/{a}", "/x", {"x"}},
           Case{"/{a=x/*}/y/{b=z/*}", "/x/1/y/z/2", {"x/1", "z/2"}},
       }) {
    auto parsed = HttpTemplate::parse(each.text);
    ASSERT_TRUE(parsed) << each.text;
    ASSERT_EQ(parsed->variables().size(), each.values.size()) << each.text;
    for (size_t i = 0; i < each.values.size(); ++i)
      EXPECT_EQ(parsed->value(parsed->variables()[i], each.path, arena), each.values[i]) << each.text;
  }
}

}  // namespace
}  // namespace sluice::policies::grpc
