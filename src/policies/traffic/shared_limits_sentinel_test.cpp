// Limits at a master that sentinels name, while all of them misbehave: scripted here, for real ones see
// tests/e2e/test_redis_topologies.py.
#include "policies/traffic/shared_limits_fixture.h"

namespace sluice::policies::testing {
namespace {

class SharedLimitsSentinelTest : public SharedLimitsTest {
 protected:
  struct Server {
    std::function<std::string()> answer = [] { return decision(1); };
    std::string role = "master";
    int counted = 0;
    std::unique_ptr<ScriptedUpstream> server;
  };
  struct Sentinel {
    std::function<std::string()> answer;
    int asked = 0;
    std::unique_ptr<ScriptedUpstream> server;
  };

  static std::string document(std::string_view more = "") {
    return SharedLimitsTest::document(
        "mode: strict, on_store_failure: deny",
        "sentinel: { master: main, addresses: [127.0.0.1:26379, 127.0.0.1:26380]" + std::string(more) +
            ", timeout: 50ms, connect_timeout: 200ms");
  }
  static std::string bulk(std::string_view text) {
    return "$" + std::to_string(text.size()) + "\r\n" + std::string(text) + "\r\n";
  }
  static std::string master_at(int port) { return "*2\r\n" + bulk("127.0.0.1") + bulk(std::to_string(port)); }
  Sentinel& sentinel(int port, int master) {
    Sentinel& sentinel = sentinels[port];
    sentinel.answer = [master] { return master_at(master); };
    sentinel.server = std::make_unique<ScriptedUpstream>(
        world, upstream_loop, io::Address::loopback(static_cast<uint16_t>(port)),
        answering([this, &sentinel](std::string_view command) -> std::string {
          greetings += command.starts_with("*3\r\n$4\r\nAUTH\r\n") ? "sentinel " + std::string(command) : "";
          if (command.find("AUTH") != std::string_view::npos) return "+OK\r\n";
          EXPECT_TRUE(
              command.starts_with("*3\r\n$8\r\nSENTINEL\r\n$23\r\nget-master-addr-by-name\r\n$4\r\nmain"))
              << command;
          ++sentinel.asked;
          return sentinel.answer();
        }));
    return sentinel;
  }
  Server& server(int port) {
    Server& server = servers[port];
    server.server = std::make_unique<ScriptedUpstream>(
        world, upstream_loop, io::Address::loopback(static_cast<uint16_t>(port)),
        answering([this, &server](std::string_view command) -> std::string {
          if (command.find("AUTH") != std::string_view::npos ||
              command.find("SELECT") != std::string_view::npos) {
            greetings += "server " + std::string(command);
            return "+OK\r\n";
          }
          if (command.starts_with("*1\r\n$4\r\nROLE")) return "*3\r\n" + bulk(server.role) + ":0\r\n*0\r\n";
          ++server.counted;
          return server.answer();
        }));
    return server;
  }
  void go_away(ScriptedUpstream& server) {
    for (size_t i = 0; i < server.connections(); ++i) server.peer(i).reset();
    server.stop();
    world.run_for(10ms);
  }
  /// Until a request passes; a few seconds are enough.
  bool comes_back() {
    for (int i = 0; i < 50; ++i) {
      if (get("/").status == 200) return true;
      world.run_for(100ms);
    }
    return false;
  }

  std::map<int, Server> servers;
  std::map<int, Sentinel> sentinels;
  std::string greetings;
};

TEST_F(SharedLimitsSentinelTest, TheMasterThatTheyNameIsAsked) {
  Sentinel& first = sentinel(26379, 6380);
  Sentinel& second = sentinel(26380, 6380);
  Server& master = server(6380);
  start(document(" }"));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(get("/").status, 200);
  EXPECT_EQ(master.counted, 3);
  EXPECT_EQ(first.asked, 1) << "what is known is not asked again";
  EXPECT_EQ(second.asked, 0);
  EXPECT_EQ(metric("sluice_store_connections{store=\"shared\"}"), "1");
}

TEST_F(SharedLimitsSentinelTest, EachIsToldWhoWeAre) {
  sentinel(26379, 6380);
  sentinel(26380, 6380);
  server(6380);
  start(document(", user: watch, password: one }, user: gate, password: two, database: 3"));
  EXPECT_EQ(get("/").status, 200);
  EXPECT_EQ(greetings,
            "sentinel *3\r\n$4\r\nAUTH\r\n$5\r\nwatch\r\n$3\r\none\r\n"
            "server *3\r\n$4\r\nAUTH\r\n$4\r\ngate\r\n$3\r\ntwo"
            "server *2\r\n$6\r\nSELECT\r\n$1\r\n3");
}

TEST_F(SharedLimitsSentinelTest, AfterAFailoverTheNewMasterIsAsked) {
  Sentinel& first = sentinel(26379, 6380);
  Sentinel& second = sentinel(26380, 6380);
  Server& old = server(6380);
  Server& next = server(6381);
  start(document(" }"));
  EXPECT_EQ(get("/").status, 200);
  go_away(*old.server);
  Instant began = world.now();
  EXPECT_EQ(get("/").status, 503) << "nobody knows a better one yet";
  EXPECT_LT(world.now() - began, 60ms);
  first.answer = second.answer = [] { return master_at(6381); };
  EXPECT_TRUE(comes_back());
  EXPECT_GE(next.counted, 1);
}

TEST_F(SharedLimitsSentinelTest, AMasterThatBecameAReplicaIsLeft) {
  Sentinel& first = sentinel(26379, 6380);
  Server& old = server(6380);
  Server& next = server(6381);
  start(document(" }"));
  EXPECT_EQ(get("/").status, 200);
  old.answer = [] { return std::string("-READONLY You can't write against a read only replica.\r\n"); };
  old.role = "slave";
  first.answer = [] { return master_at(6381); };
  EXPECT_EQ(get("/").status, 503);
  EXPECT_TRUE(comes_back());
  EXPECT_EQ(old.counted, 2);
  EXPECT_GE(next.counted, 1);
}

TEST_F(SharedLimitsSentinelTest, OneThatIsNoMasterIsNotUsedAndAnotherSentinelAsked) {
  sentinel(26379, 6380);
  sentinel(26380, 6381);
  Server& replica = server(6380);
  replica.role = "slave";
  Server& master = server(6381);
  start(document(" }"));
  EXPECT_EQ(get("/").status, 503);
  EXPECT_TRUE(comes_back());
  EXPECT_EQ(replica.counted, 0);
  EXPECT_GE(master.counted, 1);
}

TEST_F(SharedLimitsSentinelTest, SentinelsAreAskedInTurn) {
  Sentinel& first = sentinel(26379, 6380);
  Sentinel& second = sentinel(26380, 6380);
  server(6380);
  for (std::string_view no :
       {"*-1\r\n", "-ERR no\r\n", "+OK\r\n", "HTTP/1.1 400\r\n\r\n", "*2\r\n$1\r\n/\r\n$1\r\n1\r\n",
        "*2\r\n$1\r\nh\r\n$1\r\n0\r\n", "*1000000000\r\n"}) {
    first.answer = [no] { return std::string(no); };
    second.asked = 0;
    if (workers.empty())
      start(document(" }"));
    else
      reload(document(" }"));
    EXPECT_EQ(get("/").status, 200) << no;
    EXPECT_EQ(second.asked, 1) << no;
    reload(chain("{ rate_limit: { rate: 1/1s } }"));
    world.run_for(1s);
    reload(chain("{ rate_limit: { rate: 2/1s } }"));
  }
}

TEST_F(SharedLimitsSentinelTest, ASilentSentinelIsNotTheOnlyOne) {
  ScriptedUpstream silent(world, upstream_loop, io::Address::loopback(26379), [](UpstreamPeer&) {});
  sentinel(26380, 6380);
  server(6380);
  start(document(" }"));
  Instant began = world.now();
  EXPECT_EQ(get("/").status, 503);
  EXPECT_LT(world.now() - began, 60ms) << "no longer than `timeout`";
  EXPECT_EQ(get("/").status, 503);
  world.run_for(300ms);
  EXPECT_EQ(get("/").status, 200);
  go_away(*servers[6380].server);
  Server& again = server(6380);
  EXPECT_TRUE(comes_back());
  EXPECT_GE(again.counted, 1);
  EXPECT_EQ(silent.connections(), 1u) << "the one that has answered is asked first";
}

TEST_F(SharedLimitsSentinelTest, WithoutSentinelsNoTimeIsLost) {
  start(document(" }"));
  EXPECT_EQ(get("/").status, 503);
  Instant began = world.now();
  EXPECT_EQ(get("/").status, 503);
  EXPECT_LT(world.now() - began, 1ms);
}

}  // namespace
}  // namespace sluice::policies::testing
