// A second try beside a slow first one: when it is made, and whose answer is taken.
#include "handlers/handler_test_fixture.h"

namespace sluice::handlers::testing {
namespace {

class HedgeTest : public HandlerTest {
 protected:
  void serve(std::string_view config = "hedge: 50ms") { start(proxying({9000, 9001}, config)); }
  std::string hedges(std::string_view result) {
    return metric("sluice_hedges_total{upstream=\"u\",result=\"" + std::string(result) + "\"}");
  }
  void ask(std::string_view method = "GET", std::string_view rest = {}) {
    if (!client) client.emplace(world, client_loop, address);
    client->send(request(method, "/") + std::string(rest));
  }

  // Asked in this order.
  ScriptedUpstream a{world, upstream_loop, target(9000)};
  ScriptedUpstream b{world, upstream_loop, target(9001)};
  std::optional<Client> client;
};

TEST_F(HedgeTest, WhatComesInTimeIsNotHedged) {
  serve();
  ask();
  world.run_for(40ms);
  a.peer(0).ok("a");
  EXPECT_EQ(client->await_answer().body, "a");
  world.run_for(100ms);
  EXPECT_EQ(b.connections(), 0u);
}

TEST_F(HedgeTest, TheSecondAnswersFirst) {
  serve();
  ask();
  world.run_for(40ms);
  EXPECT_EQ(a.requests(), 1u);
  EXPECT_EQ(b.requests(), 0u);
  world.run_for(20ms);
  EXPECT_EQ(b.requests(), 1u);
  b.peer(0).ok("b");
  EXPECT_EQ(client->await_answer().body, "b");
  world.run_for(10ms);
  EXPECT_NE(a.peer(0).state, UpstreamPeer::State::kOpen) << "nobody wants its answer";
  EXPECT_EQ(hedges("won"), "1");
  EXPECT_EQ(tries("cancelled"), "1");
  EXPECT_EQ(tries("2xx"), "1");
  // The connection that has won is kept.
  ask();
  world.run_for(10ms);
  EXPECT_EQ(a.requests(), 2u);
  a.peer(1).ok("again");
  EXPECT_EQ(client->await_answer().body, "again");
}

TEST_F(HedgeTest, TheFirstAnswersFirstAfterAll) {
  serve();
  ask();
  world.run_for(60ms);
  EXPECT_EQ(b.requests(), 1u);
  a.peer(0).ok("a");
  EXPECT_EQ(client->await_answer().body, "a");
  world.run_for(10ms);
  EXPECT_NE(b.peer(0).state, UpstreamPeer::State::kOpen);
  EXPECT_EQ(hedges("lost"), "1");
}

TEST_F(HedgeTest, AnErrorIsWorthLessThanWaiting) {
  serve();
  ask();
  world.run_for(60ms);
  b.peer(0).send("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
  world.run_for(10ms);
  a.peer(0).ok("a");
  Answer answer = client->await_answer();
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "a");
  EXPECT_EQ(tries("5xx"), "1");
}

TEST_F(HedgeTest, OfTwoErrorsTheFirstOnesIsTheAnswer) {
  serve();
  ask();
  world.run_for(60ms);
  b.peer(0).send("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
  world.run_for(10ms);
  a.peer(0).send("HTTP/1.1 500 Bad\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(client->await_answer().status, 500);
}

TEST_F(HedgeTest, OneThatBreaksLeavesTheOther) {
  serve();
  ask();
  world.run_for(60ms);
  a.peer(0).close();
  world.run_for(10ms);
  b.peer(0).ok("b");
  EXPECT_EQ(client->await_answer().body, "b");
  EXPECT_EQ(tries("reset"), "1");
}

TEST_F(HedgeTest, WhenBothBreakItIsTriedAgainAsEver) {
  serve("hedge: 50ms, retry: { attempts: 2, backoff: 0s }");
  ask();
  world.run_for(60ms);
  a.peer(0).close();
  b.peer(0).close();
  world.run_for(10ms);
  EXPECT_EQ(a.connections() + b.connections(), 3u);
  (a.connections() == 2 ? a : b).peer(1).ok("third");
  EXPECT_EQ(client->await_answer().body, "third");
}

// gRPC and others hedge only what may be done twice (RFC 9110, section 9.2.2).
TEST_F(HedgeTest, WhatMayNotBeDoneTwiceIsNotHedged) {
  serve();
  ask("POST", "");
  world.run_for(100ms);
  EXPECT_EQ(a.requests(), 1u);
  EXPECT_EQ(b.connections(), 0u);
  a.peer(0).ok("a");
  EXPECT_EQ(client->await_answer().body, "a");
}

TEST_F(HedgeTest, IsWithinTheBudgetOfRetries) {
  serve("hedge: 50ms, circuit_breaker: { max_retries: 0 }");
  ask();
  world.run_for(100ms);
  EXPECT_EQ(b.connections(), 0u);
  EXPECT_EQ(metric("sluice_limit_hits_total{limit=\"upstream_retries\"}"), "1");
  a.peer(0).ok("a");
  EXPECT_EQ(client->await_answer().body, "a");
}

TEST_F(HedgeTest, AClientThatLeavesEndsBoth) {
  serve();
  ask();
  world.run_for(60ms);
  client->raw().vanish();
  world.run_for(10ms);
  EXPECT_NE(a.peer(0).state, UpstreamPeer::State::kOpen);
  EXPECT_NE(b.peer(0).state, UpstreamPeer::State::kOpen);
  EXPECT_EQ(tries("cancelled"), "2");
}

TEST_F(HedgeTest, SilenceOfBothIsATimeout) {
  serve("hedge: 50ms, timeouts: { response_head: 200ms }");
  ask();
  Instant began = world.now();
  Answer answer = client->await_answer();
  EXPECT_EQ(answer.status, 504);
  EXPECT_EQ(answer.code(), "upstream_timeout");
  EXPECT_GE(world.now() - began, 240ms) << "the second has its own time";
  EXPECT_LE(world.now() - began, 300ms);
  EXPECT_EQ(tries("timeout"), "2");
}

// Behind one name there may be many servers.
TEST_F(HedgeTest, ASingleTargetIsAskedTwice) {
  start(proxying({9000}, "hedge: 50ms"));
  ask();
  world.run_for(60ms);
  EXPECT_EQ(a.connections(), 2u);
  a.peer(1).ok("second");
  EXPECT_EQ(client->await_answer().body, "second");
}

}  // namespace
}  // namespace sluice::handlers::testing
