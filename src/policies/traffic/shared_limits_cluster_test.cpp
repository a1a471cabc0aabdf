// Limits in a Redis Cluster whose nodes misbehave: scripted here, for real ones see
// tests/e2e/test_redis_topologies.py.
#include "gateway/redis/topology.h"
#include "policies/traffic/shared_limits_fixture.h"

namespace sluice::policies::testing {
namespace {

class SharedLimitsClusterTest : public SharedLimitsTest {
 protected:
  /// Commands with a key that a node has got, and how it answers them; `slots`: what it says about those.
  struct Node {
    std::function<std::string(std::string_view)> answer = [](std::string_view) { return decision(1); };
    std::function<std::string()> slots;
    int counted = 0;
    int looks = 0;
    bool asking = false;  // the command before was ASKING
    std::unique_ptr<ScriptedUpstream> server;
  };

  static std::string document(std::string_view more = "on_store_failure: deny",
                              std::string_view seeds = "[127.0.0.1:7001, 127.0.0.1:7002]") {
    return SharedLimitsTest::document(
        "mode: strict, " + std::string(more),
        "cluster: " + std::string(seeds) + ", timeout: 50ms, connect_timeout: 200ms");
  }
  /// All slots are at the node with this port.
  static std::string all_at(int port) {
    return "*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n$9\r\n127.0.0.1\r\n:" + std::to_string(port) +
           "\r\n$2\r\nid\r\n";
  }
  /// Redirects to the node with this port.
  static std::string redirect(std::string_view kind, std::string_view command, int port) {
    size_t at = command.find("sluice:{");
    std::string_view key = command.substr(at, command.find("\r\n", at) - at);
    return "-" + std::string(kind) + " " + std::to_string(gateway::slot_of(key)) +
           " 127.0.0.1:" + std::to_string(port) + "\r\n";
  }
  Node& node(int port) {
    Node& node = nodes[port];
    if (!node.slots) node.slots = [] { return all_at(7001); };
    if (node.server) return node;
    node.server = std::make_unique<ScriptedUpstream>(
        world, upstream_loop, io::Address::loopback(static_cast<uint16_t>(port)),
        answering([&node](std::string_view command) -> std::string {
          if (command.starts_with("*2\r\n$7\r\nCLUSTER\r\n$5\r\nSLOTS")) {
            ++node.looks;
            return node.slots();
          }
          if (command.starts_with("*1\r\n$6\r\nASKING")) {
            node.asking = true;
            return "+OK\r\n";
          }
          ++node.counted;
          std::string text = node.answer(command);
          node.asking = false;
          return text;
        }));
    return node;
  }

  std::map<int, Node> nodes;
};

TEST_F(SharedLimitsClusterTest, TheNodeThatHasTheKeyIsAsked) {
  Node& first = node(7001);
  Node& second = node(7002);
  first.slots = second.slots = [] { return all_at(7002); };
  start(document());
  for (int i = 0; i < 3; ++i) EXPECT_EQ(get("/").status, 200);
  EXPECT_EQ(first.counted, 0);
  EXPECT_EQ(second.counted, 3);
  EXPECT_EQ(first.looks + second.looks, 1) << "what is known is not asked again";
  EXPECT_EQ(second.server->connections(), 1u);
  EXPECT_EQ(metric("sluice_store_requests_total{store=\"shared\",result=\"ok\"}"), "3");
  EXPECT_EQ(metric("sluice_store_connections{store=\"shared\"}"), "1");
}

TEST_F(SharedLimitsClusterTest, AMovedSlotIsFollowedAtOnceAndRemembered) {
  Node& first = node(7001);
  Node& second = node(7002);
  first.answer = [](std::string_view command) { return redirect("MOVED", command, 7002); };
  first.slots = second.slots = [&] { return all_at(first.counted == 0 ? 7001 : 7002); };
  start(document());
  EXPECT_EQ(get("/").status, 200);
  EXPECT_EQ(first.counted, 1);
  EXPECT_EQ(second.counted, 1);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(get("/").status, 200);
  EXPECT_EQ(first.counted, 1);
  EXPECT_EQ(second.counted, 4);
  EXPECT_EQ(metric("sluice_store_requests_total{store=\"shared\",result=\"ok\"}"), "4");
}

TEST_F(SharedLimitsClusterTest, AMovedSlotMayBeAtANodeThatNobodyHasNamed) {
  Node& first = node(7001);
  Node& third = node(7003);
  first.answer = [](std::string_view command) { return redirect("MOVED", command, 7003); };
  start(document("on_store_failure: deny", "127.0.0.1:7001"));
  EXPECT_EQ(get("/").status, 200);
  EXPECT_EQ(third.counted, 1);
}

TEST_F(SharedLimitsClusterTest, ASlotThatIsAboutToMoveIsAskedForOnce) {
  Node& first = node(7001);
  Node& second = node(7002);
  first.answer = [](std::string_view command) { return redirect("ASK", command, 7002); };
  second.answer = [&](std::string_view command) {
    return second.asking ? decision(1) : redirect("MOVED", command, 7001);
  };
  start(document());
  EXPECT_EQ(get("/").status, 200);
  EXPECT_EQ(get("/").status, 200);
  EXPECT_EQ(first.counted, 2) << "the slot is still its";
  EXPECT_EQ(second.counted, 2);
  EXPECT_EQ(first.looks + second.looks, 1);
}

TEST_F(SharedLimitsClusterTest, AMovedSlotMayBeAboutToMoveOn) {
  Node& first = node(7001);
  Node& second = node(7002);
  Node& third = node(7003);
  first.answer = [](std::string_view command) { return redirect("MOVED", command, 7002); };
  second.answer = [](std::string_view command) { return redirect("ASK", command, 7003); };
  third.answer = [&](std::string_view) { return third.asking ? decision(1) : std::string("-ERR\r\n"); };
  start(document());
  EXPECT_EQ(get("/").status, 200);
}

TEST_F(SharedLimitsClusterTest, NodesThatSendInACircleAreFollowedOnce) {
  Node& first = node(7001);
  Node& second = node(7002);
  for (std::string_view kind : {"MOVED", "ASK"}) {
    first.counted = second.counted = 0;
    first.answer = [kind](std::string_view command) { return redirect(kind, command, 7002); };
    second.answer = [kind](std::string_view command) { return redirect(kind, command, 7001); };
    if (workers.empty()) start(document());
    EXPECT_EQ(get("/").status, 503);
    EXPECT_EQ(first.counted + second.counted, 2) << kind;
    world.run_for(5s);
  }
}

TEST_F(SharedLimitsClusterTest, RedirectionsToNowhereAreErrors) {
  Node& first = node(7001);
  start(document());
  for (std::string_view bad : {"-MOVED 99999 127.0.0.1:7002\r\n", "-MOVED x\r\n", "-ASK 1 a b:1\r\n",
                               "-CLUSTERDOWN The cluster is down\r\n", "-TRYAGAIN Multiple keys\r\n"}) {
    first.answer = [bad](std::string_view) { return std::string(bad); };
    EXPECT_EQ(get("/").status, 503) << bad;
    world.run_for(5s);
  }
  first.answer = [](std::string_view command) { return redirect("MOVED", command, 9999); };
  EXPECT_EQ(get("/").status, 503) << "nobody is there";
  first.answer = [](std::string_view) { return decision(1); };
  world.run_for(5s);
  EXPECT_EQ(get("/").status, 200) << "it was asked again who has the slot";
}

TEST_F(SharedLimitsClusterTest, WhatIsNoListOfSlotsIsNotBelieved) {
  Node& first = node(7001);
  Node& second = node(7002);
  start(document());
  for (std::string_view junk : {"+OK\r\n", "*0\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n", "*1000000000\r\n",
                                "-NOPERM\r\n", "*1\r\n*3\r\n:0\r\n:16384\r\n*2\r\n$1\r\nh\r\n:1\r\n",
                                "*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$1\r\n/\r\n:1\r\n"}) {
    first.slots = second.slots = [junk] { return std::string(junk); };
    EXPECT_EQ(get("/").status, 503) << junk;
    world.run_for(5s);
  }
  EXPECT_EQ(first.counted + second.counted, 0);
  second.slots = [] { return all_at(7001); };
  EXPECT_EQ(get("/").status, 200) << "one good answer is enough";
}

TEST_F(SharedLimitsClusterTest, ANodeThatIsGoneIsLookedForAgain) {
  Node& first = node(7001);
  Node& second = node(7002);
  start(document());
  EXPECT_EQ(get("/").status, 200);
  for (size_t i = 0; i < first.server->connections(); ++i) first.server->peer(i).reset();
  first.server->stop();
  world.run_for(10ms);
  Instant began = world.now();
  EXPECT_EQ(get("/").status, 503);
  EXPECT_LT(world.now() - began, 10ms);
  second.slots = [] { return all_at(7002); };
  for (int i = 0; i < 30 && second.counted == 0; ++i) {
    get("/");
    world.run_for(200ms);
  }
  EXPECT_EQ(get("/").status, 200);
  EXPECT_LT(second.looks, 25) << "looks follow each other with growing pauses";
}

TEST_F(SharedLimitsClusterTest, ASilentSeedIsNotTheOnlyOne) {
  ScriptedUpstream silent(world, upstream_loop, io::Address::loopback(7000), [](UpstreamPeer&) {});
  node(7001);
  start(document("on_store_failure: deny", "[127.0.0.1:7000, 127.0.0.1:7001]"));
  Instant began = world.now();
  EXPECT_EQ(get("/").status, 503);
  EXPECT_LT(world.now() - began, 60ms) << "no longer than `timeout`";
  began = world.now();
  EXPECT_EQ(get("/").status, 503);
  EXPECT_LT(world.now() - began, 1ms) << "one waits, not all";
  world.run_for(300ms);
  EXPECT_EQ(get("/").status, 200);
}

TEST_F(SharedLimitsClusterTest, ASlotThatNobodyHasCostsNoTime) {
  Node& first = node(7001);
  first.slots = [] { return std::string("*1\r\n*3\r\n:0\r\n:0\r\n*2\r\n$9\r\n127.0.0.1\r\n:7001\r\n"); };
  start(document("on_store_failure: deny", "127.0.0.1:7001"));
  EXPECT_EQ(get("/").status, 503);
  Instant began = world.now();
  EXPECT_EQ(get("/").status, 503);
  EXPECT_LT(world.now() - began, 1ms);
  EXPECT_EQ(first.counted, 0);
}

TEST_F(SharedLimitsClusterTest, AReloadWithoutItClosesItsConnections) {
  Node& first = node(7001);
  start(document());
  EXPECT_EQ(get("/").status, 200);
  reload(document("on_store_failure: allow"));
  EXPECT_EQ(get("/").status, 200);
  EXPECT_EQ(first.looks, 1) << "what has not changed goes on";
  reload(chain("{ rate_limit: { rate: 1/1s } }"));
  world.run_for(1s);
  reload(chain("{ rate_limit: { rate: 2/1s } }"));
  world.run_for(1s);
  for (size_t i = 0; i < first.server->connections(); ++i)
    EXPECT_NE(first.server->peer(i).state, UpstreamPeer::State::kOpen);
}

}  // namespace
}  // namespace sluice::policies::testing
