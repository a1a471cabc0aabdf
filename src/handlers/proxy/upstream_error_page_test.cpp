// The policy `error_pages` and what upstreams say.
#include "handlers/handler_test_fixture.h"

namespace sluice::handlers::testing {
namespace {

using UpstreamErrorPageTest = HandlerTest;

TEST_F(UpstreamErrorPageTest, UpstreamsErrorsAreTakenWhereThatIsAskedFor) {
  ScriptedUpstream upstream(world, upstream_loop, target(9000), [](UpstreamPeer& peer) {
    bool bad = peer.received.find("GET /bad") != std::string::npos;
    peer.received.clear();
    peer.send(bad ? "HTTP/1.1 500 Oops\r\nContent-Encoding: gzip\r\nETag: \"x\"\r\nX-Trace: "
                    "7\r\nContent-Length: 5\r\n\r\nstack"
                  : "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  });
  start(proxying(
      {9000}, {},
      "policies: [ { error_pages: { pages: [ { of: upstream, statuses: [500-599], body: sorry } ] } } ]"));
  EXPECT_EQ(get("/good").body, "ok");
  Answer answer = get("/bad");
  EXPECT_EQ(answer.status, 500);
  EXPECT_EQ(answer.body, "sorry");
  EXPECT_EQ(answer.field("Content-Encoding") + answer.field("ETag"), "");
  EXPECT_EQ(answer.field("X-Trace"), "7");
  EXPECT_EQ(get("/good").body, "ok");
}

TEST_F(UpstreamErrorPageTest, AFallbackAnswersForAnUpstreamThatIsGone) {
  start(proxying(
      {9000}, {},
      "policies: [ { error_pages: { pages: [ { of: both, statuses: 500-599, status: 200, content_type: "
      "application/json, body: '[]' } ] } } ]"));
  Answer answer = get("/");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "[]");
}

}  // namespace
}  // namespace sluice::handlers::testing
