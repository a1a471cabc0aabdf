// Mirrored requests (issue 11, "mirroring: answer ignored, never delays").
#include "handlers/handler_test_fixture.h"

namespace sluice::handlers::testing {
namespace {

class MirrorTest : public HandlerTest {
 protected:
  static std::string document(std::string_view mirror) {
    return "version: 1\ngateway: { listen: [ { name: plain, address: 127.0.0.1:80 } ] }\n"
           "upstreams:\n  u: { targets: [http://127.0.0.1:9000] }\n"
           "  shadow: { targets: [http://127.0.0.1:9001/base], host: target, timeouts: { connect: 1s, "
           "response_head: 2s } }\n"
           "apis: { a: { upstream: u, mirror: " +
           std::string(mirror) + " } }\n";
  }
  std::string mirrored(std::string_view result) {
    return metric("sluice_mirrored_total{upstream=\"shadow\",result=\"" + std::string(result) + "\"}");
  }
  ScriptedUpstream real{world, upstream_loop, target(9000), [](UpstreamPeer& peer) {
                          for (std::string_view end : {"\r\n\r\n", "789", "9x"})
                            if (peer.received.ends_with(end) &&
                                !peer.received.ends_with("Length: 10\r\n\r\n") &&
                                !peer.received.ends_with("Length: 11\r\n\r\n"))
                              return peer.ok("real");
                        }};
};

TEST_F(MirrorTest, ACopyGoesToTheOtherUpstreamAndItsAnswerToNobody) {
  ScriptedUpstream shadow(world, upstream_loop, target(9001), ScriptedUpstream::answering("shadow"));
  start(document("{ upstream: shadow }"));
  Answer answer = get("/x?q=1", "X-A: b\r\n");
  EXPECT_EQ(answer.body, "real");
  world.run_for(1s);
  ASSERT_EQ(shadow.connections(), 1u);
  const std::string& copy = shadow.peer(0).received;
  EXPECT_TRUE(copy.starts_with("GET /base/x?q=1 HTTP/1.1\r\nHost: 127.0.0.1:9001\r\n")) << copy;
  EXPECT_NE(copy.find("\r\nX-A: b\r\n"), std::string::npos);
  EXPECT_NE(copy.find("\r\nX-Forwarded-For: "), std::string::npos);
  EXPECT_EQ(mirrored("answered"), "1");
  EXPECT_EQ(get("/").body, "real");
  world.run_for(1s);
  EXPECT_EQ(shadow.connections(), 1u) << "its connections are kept";
}

TEST_F(MirrorTest, TheBodyIsCopiedAsLongAsItIsSmall) {
  ScriptedUpstream shadow(world, upstream_loop, target(9001));
  start(document("{ upstream: shadow, max_body: 10B }"));
  auto post = [&](std::string_view body) {
    return ask(request("POST", "/", "Content-Length: " + std::to_string(body.size()) + "\r\n") +
               std::string(body));
  };
  std::string_view ten = "0123456789";
  EXPECT_EQ(post(ten).body, "real");
  world.run_for(100ms);
  ASSERT_EQ(shadow.connections(), 1u);
  EXPECT_TRUE(shadow.peer(0).received.ends_with("\r\n\r\n0123456789")) << shadow.peer(0).received;
  EXPECT_EQ(post("0123456789x").body, "real");
  world.run_for(100ms);
  EXPECT_EQ(shadow.connections(), 1u);
  EXPECT_EQ(mirrored("too_large"), "1");
}

TEST_F(MirrorTest, NothingItDoesReachesTheClient) {
  start(document("{ upstream: shadow }"));
  Instant began = world.now();
  EXPECT_EQ(get("/").body, "real") << "refused";
  ScriptedUpstream silent(world, upstream_loop, target(9001));
  EXPECT_EQ(get("/").body, "real");
  EXPECT_LT(world.now() - began, 10ms);
  world.run_for(1min);
  EXPECT_EQ(mirrored("failed"), "2");
  EXPECT_EQ(metric("sluice_upstream_connections{upstream=\"shadow\",state=\"active\"}"), "0");
}

TEST_F(MirrorTest, TheOtherUpstreamsBoundsHold) {
  ScriptedUpstream silent(world, upstream_loop, target(9001));
  std::string text = document("{ upstream: shadow }");
  text.replace(text.find("host: target"), 12, "host: target, circuit_breaker: { max_requests: 1 }");
  start(text);
  EXPECT_EQ(get("/").body, "real");
  EXPECT_EQ(get("/").body, "real");
  EXPECT_EQ(mirrored("full"), "1");
}

TEST_F(MirrorTest, AShareIsCopiedByChance) {
  ScriptedUpstream shadow(world, upstream_loop, target(9001), ScriptedUpstream::answering("shadow"));
  start(document("{ upstream: shadow, percent: 25% }"));
  for (int i = 0; i < 400; ++i) ASSERT_EQ(get("/").status, 200);
  world.run_for(1s);
  EXPECT_NEAR(static_cast<double>(shadow.requests()), 100, 30);
}

TEST_F(MirrorTest, ARoutesMirrorsReplaceTheApis) {
  ScriptedUpstream shadow(world, upstream_loop, target(9001), ScriptedUpstream::answering("shadow"));
  std::string text = document("{ upstream: shadow, percent: 0% }");
  text.replace(
      text.rfind(" } }\n"), 5,
      ", routes: [ { name: all }, { name: copied, path: /copied, mirror: [ { upstream: shadow } ] } ] } }\n");
  start(text);
  EXPECT_EQ(get("/x").body, "real");
  EXPECT_EQ(get("/copied").body, "real");
  world.run_for(1s);
  EXPECT_EQ(shadow.requests(), 1u);
}

TEST_F(MirrorTest, ADrainDoesNotWaitForCopies) {
  ScriptedUpstream silent(world, upstream_loop, target(9001));
  start(document("{ upstream: shadow }"));
  EXPECT_EQ(get("/").body, "real");
  world.run_for(10ms);
  workers[0]->drain();
  world.run_for(10ms);
  EXPECT_EQ(silent.peer(0).state, UpstreamPeer::State::kEnded);
}

TEST_F(MirrorTest, SaysWhatIsWrong) {
  EXPECT_FALSE(compile(document("{ upstream: shade }")));
  EXPECT_NE(problems.find("there is no upstream `shade`"), std::string::npos) << problems;
  EXPECT_FALSE(compile(document("[ { upstream: shadow, percent: 101% } ]")));
  EXPECT_NE(problems.find("at most `100%`"), std::string::npos) << problems;
}

}  // namespace
}  // namespace sluice::handlers::testing
