#include "handlers/handler_test_fixture.h"

namespace sluice::handlers::testing {
namespace {

class RespondTest : public HandlerTest {
 protected:
  static std::string responding(std::string_view config) {
    return "apis: { a: { routes: [ { name: r, respond: " + std::string(config) + " } ] } }\n";
  }
};

TEST_F(RespondTest, AnswersAsConfigured) {
  start(responding(
      "{ status: 418, headers: { content-type: text/plain, X-A: a }, body: \"short and stout\" }"));
  Answer answer = get("/any/path?q");
  EXPECT_EQ(answer.status, 418);
  EXPECT_EQ(answer.body, "short and stout");
  EXPECT_EQ(answer.field("Content-Type"), "text/plain");
  EXPECT_EQ(answer.field("X-A"), "a");
  EXPECT_EQ(answer.field("Content-Length"), "15");
  EXPECT_FALSE(answer.field("Date").empty()) << "RFC 9110, section 6.6.1";
  EXPECT_EQ(answer.field("Via"), "") << "nobody was asked";
}

TEST_F(RespondTest, IsEmptyWith200WhenNothingIsSaid) {
  start(responding("{}"));
  Answer answer = get("/");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "");
  EXPECT_EQ(answer.field("Content-Length"), "0");
}

// RFC 9110, section 8.6: Content-Length as GET would have it, and no body.
TEST_F(RespondTest, HeadGetsTheHead) {
  start(responding("{ body: abc }"));
  Client client(world, client_loop, address);
  Answer answer = client.ask(request("HEAD", "/"), true);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.field("Content-Length"), "3");
  EXPECT_EQ(client.ask(request("GET", "/")).body, "abc") << "the next answer begins where this one ended";
}

// RFC 9110, section 8.6: no Content-Length in 204.
TEST_F(RespondTest, A204HasNoLength) {
  start(responding("{ status: 204 }"));
  Client client(world, client_loop, address);
  Answer answer = client.ask(request("GET", "/"));
  EXPECT_EQ(answer.status, 204);
  EXPECT_EQ(answer.field("Content-Length"), "");
  EXPECT_EQ(client.ask(request("GET", "/")).status, 204);
}

TEST_F(RespondTest, DropsTheRequestsBodyAndGoesOn) {
  start(responding("{ body: abc }"));
  Client client(world, client_loop, address);
  EXPECT_EQ(client.ask(request("POST", "/", "Content-Length: 5\r\n") + "12345").body, "abc");
  EXPECT_EQ(client.ask(request("POST", "/", "Transfer-Encoding: chunked\r\n") + "1\r\nx\r\n0\r\n\r\n").body,
            "abc");
  EXPECT_EQ(client.ask(request("GET", "/")).body, "abc");
}

}  // namespace
}  // namespace sluice::handlers::testing
