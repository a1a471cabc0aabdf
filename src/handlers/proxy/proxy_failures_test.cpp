// What becomes of a proxied exchange when the upstream or the client does not do its part.
#include "handlers/handler_test_fixture.h"

namespace sluice::handlers::testing {
namespace {

class ProxyFailures : public HandlerTest {
 protected:
  /// A target that says 200 to the first request of a connection and closes it with the second.
  static void answer_once(UpstreamPeer& peer) {
    if (!peer.received.ends_with("\r\n\r\n")) return;
    if (peer.heads() == 1)
      peer.ok("x");
    else
      peer.close();
  }
};

// RFC 9110, section 9.2.2: an idempotent request may be sent again when the connection was closed under it.
TEST_F(ProxyFailures, AStaleConnectionIsForgivenForGet) {
  start(proxying({9000}, "retry: { attempts: 1 }"));
  ScriptedUpstream upstream(world, upstream_loop, target(9000), answer_once);
  EXPECT_EQ(get("/").status, 200);
  EXPECT_EQ(get("/").status, 200);
  EXPECT_EQ(upstream.connections(), 2u);
  EXPECT_EQ(retries("stale_connection"), "1");
  EXPECT_NE(access_log().find("\"tries\":2"), std::string::npos);
}

TEST_F(ProxyFailures, AStaleConnectionIsNotForgivenForPost) {
  start(proxying({9000}));
  ScriptedUpstream upstream(world, upstream_loop, target(9000), answer_once);
  EXPECT_EQ(get("/").status, 200);
  Answer answer = ask(request("POST", "/"));
  EXPECT_EQ(answer.status, 502) << "it may have been done already";
  EXPECT_TRUE(answer.code().starts_with("upstream_")) << answer.code();
  EXPECT_EQ(upstream.connections(), 1u);
  EXPECT_EQ(tries("reset"), "1");
}

TEST_F(ProxyFailures, AStaleConnectionIsForgivenOnce) {
  start(proxying({9000}, "retry: { attempts: 1 }"));
  bool answers = true;
  ScriptedUpstream upstream(world, upstream_loop, target(9000), [&](UpstreamPeer& peer) {
    if (answers)
      peer.ok("x");
    else
      peer.close();
  });
  EXPECT_EQ(get("/").status, 200);
  answers = false;
  EXPECT_EQ(get("/").status, 502);
  EXPECT_EQ(upstream.connections(), 2u) << "the second one is fresh, and its failure counts";
}

// Requests share the turns: the one that another has taken must not lead the retry back to the target that
// failed.
TEST_F(ProxyFailures, ARetryTakesAnotherTargetWhoeverElseAsks) {
  start(proxying({9000, 9001}));
  ScriptedUpstream second(world, upstream_loop, target(9001), [](UpstreamPeer& peer) {
    if (peer.received.ends_with("\r\n\r\n")) peer.ok("x");
  });
  std::deque<gateway::testing::Client> clients;
  for (int i = 0; i < 10; ++i) clients.emplace_back(world, client_loop, address).send(request("GET", "/"));
  for (auto& client : clients) EXPECT_EQ(client.await_answer().status, 200);
}

TEST_F(ProxyFailures, AConnectFailureGoesOnToTheNextTarget) {
  start(proxying({9000, 9001}));
  ScriptedUpstream second(world, upstream_loop, target(9001), [](UpstreamPeer& peer) {
    if (peer.received.ends_with("\r\n\r\n") || peer.received.ends_with("hello")) peer.ok("x");
  });
  EXPECT_EQ(get("/").body, "x");
  EXPECT_EQ(retries("connect_failure"), "1");
  EXPECT_EQ(tries("connect_failure"), "1");
  EXPECT_EQ(ask(request("POST", "/", "Content-Length: 5\r\n") + "hello").body, "x") << "nothing was sent";
}

TEST_F(ProxyFailures, GivesUpAfterTheAttemptsConfigured) {
  start(proxying({9000, 9001, 9002}, "retry: { attempts: 2 }"));
  ScriptedUpstream third(world, upstream_loop, target(9002), ScriptedUpstream::answering("x"));
  Answer answer = get("/");
  EXPECT_EQ(answer.status, 502);
  EXPECT_EQ(answer.code(), "upstream_refused");
  EXPECT_EQ(answer.body.find("9001"), std::string::npos)
      << "nothing of the inside leaves (contract, section 3)";
  EXPECT_EQ(tries("connect_failure"), "2");
  EXPECT_NE(access_log().find("\"error_by\":\"upstream\""), std::string::npos);
}

TEST_F(ProxyFailures, ConnectingHasItsTime) {
  start(proxying({9000}, "timeouts: { connect: 300ms }, retry: { attempts: 1 }"));
  world.swallow(target(9000));
  Instant began = world.now();
  Answer answer = get("/");
  EXPECT_EQ(answer.status, 504);
  EXPECT_EQ(answer.code(), "upstream_connect_timeout");
  EXPECT_EQ(world.now() - began, 300ms);
}

TEST_F(ProxyFailures, ASlowHeadGoesOnToTheNextTargetWhereThatIsAskedFor) {
  start(proxying({9000, 9001}, "timeouts: { response_head: 3s }, retry: { attempts: 2, on: [timeout] }"));
  ScriptedUpstream silent(world, upstream_loop, target(9000), [](UpstreamPeer&) {});
  ScriptedUpstream second(world, upstream_loop, target(9001), ScriptedUpstream::answering("x"));
  Instant began = world.now();
  EXPECT_EQ(get("/").body, "x");
  EXPECT_EQ(world.now() - began, 3s);
  EXPECT_EQ(tries("timeout"), "1");
  EXPECT_EQ(retries("timeout"), "1");
  Answer answer = ask(request("POST", "/"));
  EXPECT_EQ(answer.status == 504 || answer.body == "x", true);
  EXPECT_EQ(retries("timeout"), "1") << "a POST may have been done already";
}

TEST_F(ProxyFailures, TheWholeTimeBoundsRetriesOfSlowHeads) {
  start(proxying({9000}, "timeouts: { response_head: 3s }, retry: { attempts: 9, on: [timeout] }",
                 "timeouts: { total: 7s }"));
  ScriptedUpstream silent(world, upstream_loop, target(9000), [](UpstreamPeer&) {});
  Instant began = world.now();
  EXPECT_EQ(get("/").status, 504);
  EXPECT_EQ(world.now() - began, 7s);
  EXPECT_EQ(retries("timeout"), "2");
}

TEST_F(ProxyFailures, ANameWithoutAddressIs503) {
  start(
      "version: 1\ngateway: { listen: [ { name: plain, address: 127.0.0.1:80 } ] }\n"
      "upstreams: { u: { targets: [ http://backend.test:9000 ] } }\napis: { a: { upstream: u } }\n");
  Answer answer = get("/");
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.code(), "upstream_unresolved");
  EXPECT_EQ(answer.field("Retry-After"), "1") << "contract, section 3";
}

TEST_F(ProxyFailures, TheHeadHasItsTime) {
  start(proxying({9000}, "timeouts: { response_head: 3s }"));
  ScriptedUpstream upstream(world, upstream_loop, target(9000),
                            [](UpstreamPeer& peer) { peer.send("HTTP/1.1 200 OK\r\n"); });
  Instant began = world.now();
  Client client(world, client_loop, address);
  Answer answer = client.ask(request("GET", "/"));
  EXPECT_EQ(answer.status, 504);
  EXPECT_EQ(answer.code(), "upstream_timeout");
  EXPECT_EQ(world.now() - began, 3s);
  EXPECT_EQ(upstream.requests(), 1u) << "not tried again unless asked for";
  EXPECT_EQ(tries("timeout"), "1");
  world.run_for(1ms);
  EXPECT_NE(upstream.peer(0).state, UpstreamPeer::State::kOpen) << "the connection is not used again";
}

TEST_F(ProxyFailures, TheHeadsTimeBeginsWhenTheRequestIsOut) {
  start(proxying({9000}, "timeouts: { response_head: 3s }"));
  ScriptedUpstream upstream(world, upstream_loop, target(9000));
  Client client(world, client_loop, address);
  client.send(request("POST", "/", "Content-Length: 4000\r\n"));
  for (int i = 0; i < 4; ++i) {
    world.run_for(2s);
    client.send(std::string(1000, 'x'));
  }
  Instant uploaded = world.now();
  EXPECT_EQ(client.await_answer().status, 504);
  EXPECT_EQ(world.now() - uploaded, 3s);
}

TEST_F(ProxyFailures, ResetsAndStatusesAreTriedAgainAsConfigured) {
  struct Case {
    std::string_view name, rules, method;
    std::string_view first;  // what the first target says; empty: it closes
    int status;
    std::string_view reason;
  };
  const Case cases[] = {
      {"reset", "attempts: 2", "GET", "", 200, "reset"},
      {"reset of POST", "attempts: 2", "POST", "", 502, ""},
      {"one attempt", "attempts: 1", "GET", "", 502, ""},
      {"reset not named", "attempts: 2, on: [connect_failure]", "GET", "", 502, ""},
      {"status", "attempts: 2, on: [503]", "GET", "HTTP/1.1 503 x\r\nContent-Length: 1\r\n\r\ny", 200,
       "status"},
      {"status not named", "attempts: 2, on: [502]", "GET", "HTTP/1.1 503 x\r\nContent-Length: 1\r\n\r\ny",
       503, ""},
      {"status of POST", "attempts: 2, on: [503]", "POST", "HTTP/1.1 503 x\r\nContent-Length: 1\r\n\r\ny",
       503, ""},
  };
  bool started = false;
  for (const Case& each : cases) {
    std::string before = started ? retries(each.reason.empty() ? "reset" : each.reason) : "";
    std::string document = proxying(
        {9000, 9001}, "retry: { " + std::string(each.rules) +
                          " }, timeouts: { response_head: " + std::to_string(1 + (&each - cases)) + "s }");
    if (std::exchange(started, true))
      reload(document);
    else
      start(document);
    ScriptedUpstream first(world, upstream_loop, target(9000), [&](UpstreamPeer& peer) {
      if (each.first.empty())
        peer.close();
      else
        peer.send(std::string(each.first));
    });
    ScriptedUpstream second(world, upstream_loop, target(9001), ScriptedUpstream::answering("x"));
    EXPECT_EQ(ask(request(each.method, "/")).status, each.status) << each.name;
    EXPECT_EQ(second.requests(), each.reason.empty() ? 0u : 1u) << each.name;
    if (!each.reason.empty()) EXPECT_NE(retries(each.reason), before) << each.name;
  }
}

// RFC 9112, section 8: who gets a part must not take it for the whole.
TEST_F(ProxyFailures, ATruncatedBodyBreaksTheClientsConnection) {
  start(proxying({9000}));
  for (std::string_view raw :
       {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nno size\r\n"}) {
    for (bool reset : {false, true}) {
      ScriptedUpstream upstream(world, upstream_loop, target(9000));
      Client client(world, client_loop, address);
      client.send(request("GET", "/"));
      ASSERT_TRUE(upstream.await_heads(0, 1));
      upstream.peer(0).send(std::string(raw));
      world.run_for(1ms);
      if (reset)
        upstream.peer(0).reset();
      else
        upstream.peer(0).close();
      EXPECT_EQ(client.await_answer().status, 0) << "no whole answer: " << raw;
      EXPECT_TRUE(client.broken()) << raw;
      EXPECT_EQ(upstream.requests(), 1u) << "the head is out: it is too late to try again";
    }
  }
  EXPECT_NE(access_log().find("\"error_by\":\"upstream\""), std::string::npos);
}

TEST_F(ProxyFailures, WhatIsNoAnswerIs502) {
  start(proxying({9000}));
  struct Case {
    std::string_view raw, code;
  };
  std::string interim;
  for (int i = 0; i < 17; ++i) interim += "HTTP/1.1 103 x\r\n\r\n";
  for (const Case& each : {
           Case{"SSH-2.0-OpenSSH_9\r\n\r\n", "upstream_protocol"},
           Case{"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "upstream_protocol"},
           Case{"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "upstream_protocol"},
           Case{"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
                "unexpected_upgrade"},
           Case{interim, "too_many_interim_responses"},
       }) {
    ScriptedUpstream upstream(world, upstream_loop, target(9000),
                              [&](UpstreamPeer& peer) { peer.send(std::string(each.raw)); });
    Answer answer = get("/");
    EXPECT_EQ(answer.status, 502) << each.raw;
    EXPECT_EQ(answer.code(), each.code) << each.raw;
    EXPECT_EQ(answer.field("Upgrade"), "") << "nothing of what it said is left";
    EXPECT_EQ(upstream.requests(), 1u);
    world.run_for(1ms);
    EXPECT_NE(upstream.peer(0).state, UpstreamPeer::State::kOpen) << each.raw;
  }
  EXPECT_EQ(tries("protocol_error"), "5");
  EXPECT_EQ(metric("sluice_limit_hits_total{limit=\"interim_responses\"}"), "1");
}

TEST_F(ProxyFailures, AClientThatLeavesEndsTheTry) {
  start(proxying({9000}));
  ScriptedUpstream upstream(world, upstream_loop, target(9000));
  Client client(world, client_loop, address);
  client.send(request("GET", "/"));
  ASSERT_TRUE(upstream.await_heads(0, 1));
  client.raw().vanish();
  world.run_for(1ms);
  EXPECT_NE(upstream.peer(0).state, UpstreamPeer::State::kOpen);
  EXPECT_EQ(tries("cancelled"), "1");
  EXPECT_NE(access_log().find("\"status\":499"), std::string::npos) << "contract, section 3";
}

TEST_F(ProxyFailures, AClientThatLeavesDuringTheAnswerIs499) {
  start(proxying({9000}));
  ScriptedUpstream upstream(world, upstream_loop, target(9000), [](UpstreamPeer& peer) {
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + std::string(1000, 'x'));
  });
  Client client(world, client_loop, address);
  client.send(request("GET", "/"));
  world.run_for(1ms);
  client.raw().vanish();
  world.run_for(1ms);
  EXPECT_NE(upstream.peer(0).state, UpstreamPeer::State::kOpen);
  EXPECT_NE(access_log().find("\"status\":499"), std::string::npos);
}

// Contract, section 3: `total` bounds the whole exchange.
TEST_F(ProxyFailures, TheTotalTimeIs504) {
  start(proxying({9000}, {}, "timeouts: { total: 2s }"));
  ScriptedUpstream upstream(world, upstream_loop, target(9000));
  Instant began = world.now();
  Answer answer = get("/");
  EXPECT_EQ(answer.status, 504);
  EXPECT_EQ(answer.code(), "timeout");
  EXPECT_EQ(world.now() - began, 2s);
}

}  // namespace
}  // namespace sluice::handlers::testing
