#include "handlers/handler_test_fixture.h"

namespace sluice::handlers::testing {
namespace {

class RedirectTest : public HandlerTest {
 protected:
  static std::string redirecting(std::string_view path, std::string_view to, std::string_view more = {}) {
    return "apis: { a: { path: /api, routes: [ { name: r, path: \"" + std::string(path) +
           "\", redirect: { to: \"" + std::string(to) + "\"" + std::string(more) + " } } ] } }\n";
  }
};

TEST_F(RedirectTest, MakesThePlaceFromParametersAndQuery) {
  struct Case {
    std::string_view path, to, asked, location;
  };
  const Case cases[] = {
      {"/x", "/y", "/api/x", "/y"},
      {"/x", "https://other.test/y", "/api/x", "https://other.test/y"},
      {"/x", "/y", "/api/x?a=1", "/y?a=1"},
      {"/x", "/y?b=2", "/api/x?a=1", "/y?b=2"},  // it has a query of its own
      {"/old/{rest**}", "/new/{rest}", "/api/old/b/c?d", "/new/b/c?d"},
      {"/{a}/{b}", "/{b}/{a}{a}", "/api/1/2", "/2/11"},
      {"/{id}", "/items/{id}", "/api/a%2Fb", "/items/a%2Fb"},
  };
  bool started = false;
  for (const Case& each : cases) {
    std::string document = redirecting(each.path, each.to);
    if (std::exchange(started, true))
      reload(document);
    else
      start(document);
    Answer answer = get(each.asked);
    EXPECT_EQ(answer.status, 302);
    EXPECT_EQ(answer.field("Location"), each.location) << each.path << " " << each.to;
    EXPECT_EQ(answer.body, "");
  }
}

TEST_F(RedirectTest, TakesTheStatusConfigured) {
  start(redirecting("/x", "/y", ", status: 308"));
  Client client(world, client_loop, address);
  EXPECT_EQ(client.ask(request("POST", "/api/x", "Content-Length: 2\r\n") + "ab").status, 308);
  EXPECT_EQ(client.ask(request("GET", "/api/x")).status, 308) << "the connection goes on";
  EXPECT_EQ(client.ask(request("HEAD", "/api/x"), true).status, 308);
}

TEST_F(RedirectTest, RefusesAParameterThatThePathHasNot) {
  EXPECT_FALSE(compile(redirecting("/{a}", "/y/{b}")));
  EXPECT_NE(problems.find("{b}"), std::string::npos) << problems;
  EXPECT_FALSE(compile(redirecting("/{a}", "/y/{a")));
}

}  // namespace
}  // namespace sluice::handlers::testing
