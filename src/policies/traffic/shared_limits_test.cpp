// Limits in a store that misbehaves: scripted here, for the real one see tests/e2e/test_redis.py.
#include "policies/traffic/shared_limits_fixture.h"

namespace sluice::policies::testing {
namespace {

TEST_F(SharedLimitsTest, StrictAsksForEveryRequest) {
  ScriptedUpstream redis(world, upstream_loop, redis_address, answering([this](std::string_view command) {
                           EXPECT_TRUE(command.starts_with("*10\r\n$7\r\nEVALSHA\r\n$40\r\n")) << command;
                           return commands < 3 ? decision(1, 3 - commands)
                                               : decision(0, 0, 2'500'000, 1'500'000);
                         }));
  start(document("mode: strict"));
  Answer answer = get("/");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.field("RateLimit"), "\"rate_limit\";r=2;t=1");
  EXPECT_EQ(get("/").status, 200);
  answer = get("/");
  EXPECT_EQ(answer.status, 429);
  EXPECT_EQ(answer.field("Retry-After"), "2");
  EXPECT_EQ(answer.field("RateLimit"), "\"rate_limit\";r=0;t=3");
  EXPECT_EQ(commands, 3);
  EXPECT_EQ(metric("sluice_store_requests_total{store=\"shared\",result=\"ok\"}"), "3");
  EXPECT_EQ(metric("sluice_store_connections{store=\"shared\"}"), "1");
}

TEST_F(SharedLimitsTest, AServerThatDoesNotKnowTheScriptGetsIt) {
  ScriptedUpstream redis(world, upstream_loop, redis_address, answering([this](std::string_view command) {
                           if (commands == 1) return std::string("-NOSCRIPT No matching script.\r\n");
                           EXPECT_NE(command.find("$4\r\nEVAL\r\n"), std::string_view::npos);
                           EXPECT_NE(command.find("redis.call('TIME')"), std::string_view::npos);
                           return decision(1);
                         }));
  start(document("mode: strict, on_store_failure: deny"));
  EXPECT_EQ(get("/").status, 200);
}

// Issue 11: a request waits at most the configured few milliseconds, then follows `on_store_failure`.
TEST_F(SharedLimitsTest, ASilentStoreIsNotWaitedForLongerThanAllowed) {
  ScriptedUpstream redis(world, upstream_loop, redis_address, [](UpstreamPeer&) {});
  start(document("mode: strict, on_store_failure: deny"));
  Duration longest = 7ms;
  for (auto [mode, status] : {std::pair{"deny", 503}, {"allow", 200}, {"local", 200}}) {
    reload(document("mode: strict, on_store_failure: " + std::string(mode)));
    Instant began = world.now();
    Answer answer = get("/");
    EXPECT_EQ(answer.status, status) << mode;
    EXPECT_LT(world.now() - began, longest) << mode;
    longest = 1ms;  // while that command is overdue, nobody waits for another
    if (status == 503) {
      EXPECT_GE(world.now() - began, 5ms);
      EXPECT_EQ(answer.code(), "limit_unavailable");
      EXPECT_EQ(answer.field("Retry-After"), "1");
    }
  }
  EXPECT_EQ(metric("sluice_store_requests_total{store=\"shared\",result=\"timeout\"}"), "3");
}

TEST_F(SharedLimitsTest, ARefusalWithoutAReasonIsOne) {
  ScriptedUpstream redis(world, upstream_loop, redis_address,
                         answering([](std::string_view) { return decision(0, 0, 0, 0); }));
  start(document("mode: strict"));
  Answer answer = get("/");
  EXPECT_EQ(answer.status, 429);
  EXPECT_EQ(answer.field("Retry-After"), "1");
}

TEST_F(SharedLimitsTest, AConnectionThatIsSilentForASecondIsGivenUp) {
  ScriptedUpstream* all = nullptr;
  ScriptedUpstream redis(world, upstream_loop, redis_address, [&](UpstreamPeer& peer) {
    if (all->connections() > 1) peer.send(decision(1, 3));
  });
  all = &redis;
  start(document("mode: strict, on_store_failure: deny"));
  EXPECT_EQ(get("/").status, 503);
  world.run_for(1100ms);
  EXPECT_EQ(get("/").status, 503);
  world.run_for(100ms);
  EXPECT_EQ(get("/").status, 200) << "on a new connection";
}

TEST_F(SharedLimitsTest, AStoreThatIsGoneCostsNoTimeAndIsTriedAgain) {
  start(document("mode: strict, on_store_failure: deny"));
  EXPECT_EQ(get("/").status, 503) << "refused";
  Instant began = world.now();
  EXPECT_EQ(get("/").status, 503);
  EXPECT_LT(world.now() - began, 1ms);
  ScriptedUpstream redis(world, upstream_loop, redis_address,
                         answering([](std::string_view) { return decision(1); }));
  EXPECT_EQ(get("/").status, 503) << "it rests for a while";
  world.run_for(3s);
  EXPECT_EQ(get("/").status, 200);
}

TEST_F(SharedLimitsTest, WhatIsNoProtocolBreaksTheConnection) {
  for (std::string_view garbage :
       {"HTTP/1.1 400 Bad Request\r\n\r\n", "*4\r\n:1\r\n:2\r\n", "+OK\r\n", "*3\r\n:1\r\n:1\r\n:1\r\n",
        "*4\r\n:1\r\n:1\r\n:1\r\n$1\r\nx\r\n", "*1000000000\r\n", "-ERR no\r\n"}) {
    ScriptedUpstream redis(world, upstream_loop, redis_address,
                           answering([garbage](std::string_view) { return std::string(garbage); }));
    if (workers.empty()) start(document("mode: strict, on_store_failure: deny"));
    EXPECT_EQ(get("/").status, 503) << garbage;
    redis.stop();
    world.run_for(5s);
  }
}

TEST_F(SharedLimitsTest, AReplyThatComesTooLateIsNobodyElses) {
  ScriptedUpstream redis(world, upstream_loop, redis_address, [&](UpstreamPeer& peer) {
    if (++commands > 1) peer.send(decision(1, 55));
  });
  start(document("mode: strict, on_store_failure: deny"));
  EXPECT_EQ(get("/").status, 503) << "timed out";
  EXPECT_EQ(get("/").status, 503) << "the store is behind";
  EXPECT_EQ(commands, 1);
  redis.peer(0).send(decision(0, 0, 1, 2'000'000));
  world.run_for(1ms);
  Answer answer = get("/");
  EXPECT_EQ(answer.status, 200) << "the first reply was the first command's";
  EXPECT_EQ(answer.field("RateLimit"), "\"rate_limit\";r=55;t=1");
}

TEST_F(SharedLimitsTest, ALeaseIsSpentWithoutAsking) {
  std::vector<int> wanted;
  ScriptedUpstream redis(
      world, upstream_loop, redis_address, answering([&](std::string_view command) {
        size_t at = command.find("\r\n$1\r\n1\r\n$1\r\ng\r\n");  // as much as there is; then the rule
        EXPECT_NE(at, std::string_view::npos) << command;
        size_t begin = command.rfind("\r\n", at - 1) + 2;
        wanted.push_back(std::stoi(std::string(command.substr(begin, at - begin))));
        return decision(wanted.back(), 500);
      }));
  start(document("mode: lease"));
  for (int i = 0; i < 1000; ++i) {
    ASSERT_EQ(get("/").status, 200);
    world.run_for(1ms);
  }
  EXPECT_LT(commands, 300) << "batches grow with the rate";
  EXPECT_EQ(std::ranges::max(wanted), 10) << "never more than a hundredth";
}

TEST_F(SharedLimitsTest, ARefusedLeaseIsBelievedForAWhile) {
  ScriptedUpstream redis(world, upstream_loop, redis_address,
                         answering([](std::string_view) { return decision(0, 0, 1'000'000, 300'000); }));
  start(document("mode: lease"));
  Answer answer = get("/");
  EXPECT_EQ(answer.status, 429);
  EXPECT_EQ(answer.field("Retry-After"), "1");
  int before = commands;
  for (int i = 0; i < 50; ++i) EXPECT_EQ(get("/").status, 429);
  EXPECT_EQ(commands, before);
  world.run_for(300ms);
  EXPECT_EQ(get("/").status, 429);
  EXPECT_GT(commands, before);
}

TEST_F(SharedLimitsTest, ALeaseThatIsNotSpentExpires) {
  ScriptedUpstream redis(world, upstream_loop, redis_address, answering([this](std::string_view) {
                           return commands <= 1 ? decision(5, 500) : decision(0, 0, 1'000'000, 300'000);
                         }));
  start(document("mode: lease"));
  EXPECT_EQ(get("/").status, 200);
  world.run_for(2s);
  EXPECT_EQ(get("/").status, 429) << "the rest of it was lost";
}

TEST_F(SharedLimitsTest, AReloadGoesOnWithTheConnection) {
  ScriptedUpstream redis(world, upstream_loop, redis_address,
                         answering([](std::string_view) { return decision(1); }));
  start(document("mode: strict, on_store_failure: deny"));
  EXPECT_EQ(get("/").status, 200);
  reload(document("mode: strict, on_store_failure: allow"));
  EXPECT_EQ(get("/").status, 200);
  EXPECT_EQ(redis.connections(), 1u);
  reload(chain("{ rate_limit: { rate: 1/1s } }"));
  world.run_for(1s);
  EXPECT_EQ(get("/").status, 200);
}

}  // namespace
}  // namespace sluice::policies::testing
