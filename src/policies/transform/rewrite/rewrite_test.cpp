#include "policies/policy_test_fixture.h"

namespace sluice::policies::testing {
namespace {

class RewriteTest : public PolicyTest {
 protected:
  /// A document with one route of this path, below /api, that is rewritten to `to`.
  static std::string rewriting(std::string_view path, std::string_view to) {
    return "apis: { a: { path: /api, upstream: any, routes: [ { name: r, path: \"" + std::string(path) +
           "\", policies: [ { rewrite: { path: \"" + std::string(to) + "\" } } ] } ] } }\n";
  }
  static std::string first_line(const Answer& answer) {
    return answer.body.substr(0, answer.body.find('\n'));
  }
};

TEST_F(RewriteTest, MakesThePathFromTheRoutesParameters) {
  struct Case {
    std::string_view path, to, asked, sent;
  };
  const Case cases[] = {
      {"/x", "/y", "/api/x", "/y"},
      {"/x", "/y", "/api/x?a=1&b", "/y?a=1&b"},
      {"/x", "/y", "/api/x?", "/y?"},
      {"/{id}", "/items/{id}", "/api/7", "/items/7"},
      {"/{id}", "/items/{id}/more", "/api/7", "/items/7/more"},
      {"/{a}/{b}", "/{b}/{a}", "/api/1/2", "/2/1"},
      {"/{a}/{b}", "/{a}{a}-{b}", "/api/1/2", "/11-2"},
      {"/old/{rest**}", "/new/{rest}", "/api/old/b/c", "/new/b/c"},
      {"/{id}", "/items/{id}", "/api/a%2Fb%20c", "/items/a%2Fb%20c"},  // escapes stay (contract, "Paths")
  };
  start(chain(""));
  for (const Case& each : cases) {
    reload(rewriting(each.path, each.to));
    EXPECT_EQ(first_line(get(each.asked)), "GET " + std::string(each.sent)) << each.path << " " << each.to;
  }
}

TEST_F(RewriteTest, TheRouteStaysAndTheLogShowsWhatWasAsked) {
  start(
      "apis: { a: { upstream: any, routes: [ { name: x, path: /x, policies: [ { rewrite: { path: /y } } ] "
      "},\n"
      "  { name: y, path: /y, respond: { body: \"y \" } } ] } }\n");
  EXPECT_EQ(first_line(get("/x")), "GET /y") << "not the other route's answer";
  std::string line = access_log();
  EXPECT_NE(line.find("\"path\":\"/x\""), std::string::npos) << line;
  EXPECT_NE(line.find("\"route\":\"x\""), std::string::npos) << line;
}

TEST_F(RewriteTest, RefusesWhatIsNoPath) {
  for (std::string_view config : {"{}", "{ path: x }", "{ path: \"/a?b\" }", "{ path: \"/a#b\" }",
                                  "{ path: \"/a b\" }", "{ path: \"/a\\\\b\" }", "{ path: \"/a/{id\" }"})
    EXPECT_FALSE(compile(chain("{ rewrite: " + std::string(config) + " }"))) << config;
}

}  // namespace
}  // namespace sluice::policies::testing
