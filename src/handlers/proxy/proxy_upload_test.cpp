// Uploads: early answers, 100-continue, and clients or targets that stand still.
#include "handlers/handler_test_fixture.h"

namespace sluice::handlers::testing {
namespace {

class ProxyUpload : public HandlerTest {
 protected:
  static constexpr std::string_view kExpect = "Content-Length: 5\r\nExpect: 100-continue\r\n";
};

// RFC 9110, section 7.5: a server may answer before it has read all.
TEST_F(ProxyUpload, AnEarlyAnswerIsPassedOnAndEndsTheUpload) {
  start(proxying({9000}));
  ScriptedUpstream upstream(world, upstream_loop, target(9000));
  Client client(world, client_loop, address);
  client.send(request("POST", "/", "Content-Length: 1000000\r\n") + std::string(1000, 'x'));
  ASSERT_TRUE(upstream.await_heads(0, 1));
  upstream.peer(0).send("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno");
  Answer answer = client.await_answer();
  EXPECT_EQ(answer.status, 413);
  EXPECT_EQ(answer.body, "no");
  EXPECT_EQ(answer.field("Connection"), "close") << "the rest is too much to be read";
  world.run_for(1ms);
  EXPECT_NE(upstream.peer(0).state, UpstreamPeer::State::kOpen) << "half a request is on it";
  EXPECT_EQ(metric("sluice_upstream_connections{upstream=\"u\",state=\"active\"}"), "0");
}

TEST_F(ProxyUpload, AnEarlyAnswerWithAShortRestKeepsTheClientsConnection) {
  start(proxying({9000}));
  ScriptedUpstream upstream(world, upstream_loop, target(9000));
  Client client(world, client_loop, address);
  client.send(request("POST", "/", "Content-Length: 1000\r\n") + std::string(100, 'x'));
  ASSERT_TRUE(upstream.await_heads(0, 1));
  upstream.peer(0).ok("early");
  EXPECT_EQ(client.await_answer().body, "early");
  world.run_for(1ms);
  client.send(std::string(900, 'x') + request("GET", "/"));
  world.run_until([&] { return upstream.requests() == 2; });
  for (size_t i = 0; i < upstream.connections(); ++i)
    if (upstream.peer(i).received.find("GET / ") != std::string::npos) upstream.peer(i).ok("next");
  EXPECT_EQ(client.await_answer().body, "next");
}

TEST_F(ProxyUpload, AnEarlyAnswersBodyFlowsWhileTheUploadGoesOn) {
  start(proxying({9000}));
  ScriptedUpstream upstream(world, upstream_loop, target(9000));
  Client client(world, client_loop, address);
  client.send(request("POST", "/", "Content-Length: 6\r\n") + "ab");
  ASSERT_TRUE(upstream.await_heads(0, 1));
  upstream.peer(0).send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nAB\r\n");
  world.run_for(1ms);
  EXPECT_TRUE(client.rest().ends_with("2\r\nAB\r\n"));
  client.send("cd");
  world.run_for(1ms);
  EXPECT_TRUE(upstream.peer(0).received.ends_with("\r\n\r\nabcd"));
  upstream.peer(0).send("2\r\nCD\r\n");
  client.send("ef");
  world.run_for(1ms);
  upstream.peer(0).send("2\r\nEF\r\n0\r\n\r\n");
  EXPECT_EQ(client.await_answer().body, "ABCDEF");
}

// Contract, section 3: `Expect` is forwarded.
TEST_F(ProxyUpload, ForwardsTheUpstreams100) {
  start(proxying({9000}));
  ScriptedUpstream upstream(world, upstream_loop, target(9000));
  Client client(world, client_loop, address);
  Instant began = world.now();
  client.send(request("POST", "/", kExpect));
  ASSERT_TRUE(upstream.await_heads(0, 1));
  EXPECT_NE(upstream.peer(0).received.find("\r\nExpect: 100-continue\r\n"), std::string::npos);
  world.run_for(500ms);
  EXPECT_EQ(client.rest(), "") << "not said by us yet";
  upstream.peer(0).send("HTTP/1.1 100 Continue\r\n\r\n");
  world.run_until([&] { return !client.rest().empty(); });
  EXPECT_EQ(world.now() - began, 500ms);
  client.send("hello");
  world.run_until([&] { return upstream.peer(0).received.ends_with("hello"); });
  upstream.peer(0).ok("x");
  EXPECT_EQ(client.await_answer().body, "x");
  ASSERT_EQ(client.interim.size(), 1u);
  EXPECT_EQ(client.interim[0].status, 100);
}

// Contract, section 3: the gateway says 100 itself after 1 s.
TEST_F(ProxyUpload, Says100ItselfAfterASecond) {
  start(proxying({9000}));
  ScriptedUpstream upstream(world, upstream_loop, target(9000));
  Client client(world, client_loop, address);
  Instant began = world.now();
  client.send(request("POST", "/", kExpect));
  world.run_until([&] { return !client.rest().empty(); });
  EXPECT_EQ(world.now() - began, 1s);
  EXPECT_TRUE(client.rest().starts_with("HTTP/1.1 100 "));
  client.send("hello");
  world.run_until([&] { return upstream.peer(0).received.ends_with("hello"); });
  upstream.peer(0).send("HTTP/1.1 100 Continue\r\n\r\n");
  upstream.peer(0).ok("x");
  EXPECT_EQ(client.await_answer().body, "x");
  EXPECT_EQ(client.interim.size(), 1u) << "the target's own 100 comes too late to be told";
}

// RFC 9110, section 10.1.1: a final status instead of 100: the client keeps its body.
TEST_F(ProxyUpload, AFinalAnswerInsteadOf100) {
  start(proxying({9000}));
  ScriptedUpstream upstream(world, upstream_loop, target(9000));
  Client client(world, client_loop, address);
  client.send(request("POST", "/", kExpect));
  ASSERT_TRUE(upstream.await_heads(0, 1));
  upstream.peer(0).send("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nn");
  world.run_for(2s);
  upstream.peer(0).send("o");
  Answer answer = client.await_answer();
  EXPECT_EQ(answer.status, 401);
  EXPECT_EQ(answer.body, "no");
  EXPECT_TRUE(client.interim.empty());
  world.run_for(2s);
  EXPECT_TRUE(upstream.peer(0).received.ends_with("\r\n\r\n")) << "no byte of the body";
  EXPECT_NE(upstream.peer(0).state, UpstreamPeer::State::kOpen) << "the target still waits for the body";
}

// A target that closed before it saw anything of the body: the request can be sent again as it is.
TEST_F(ProxyUpload, ABodyNotYetTakenCanBeSentToTheNextTarget) {
  start(proxying({9000, 9001}));
  ScriptedUpstream first(world, upstream_loop, target(9000), [](UpstreamPeer& peer) { peer.close(); });
  ScriptedUpstream second(world, upstream_loop, target(9001), [](UpstreamPeer& peer) {
    if (peer.received.ends_with("\r\n\r\n")) peer.send("HTTP/1.1 100 Continue\r\n\r\n");
    if (peer.received.ends_with("hello")) peer.ok("x");
  });
  Client client(world, client_loop, address);
  client.send(request("PUT", "/", kExpect));
  world.run_until([&] { return !client.rest().empty(); });
  EXPECT_EQ(client.ask("hello").body, "x");
  EXPECT_EQ(first.requests(), 1u);
}

TEST_F(ProxyUpload, ABodyThatWasBegunAndNotKeptIsNotSentAgain) {
  start(proxying({9000, 9001}, "retry: { body: 0 }"));
  ScriptedUpstream first(world, upstream_loop, target(9000), [](UpstreamPeer& peer) {
    if (peer.received.ends_with("hello")) peer.close();
  });
  ScriptedUpstream second(world, upstream_loop, target(9001), ScriptedUpstream::answering("x"));
  EXPECT_EQ(ask(request("PUT", "/", "Content-Length: 5\r\n") + "hello").status, 502);
  EXPECT_EQ(second.connections(), 0u);
}

// RFC 9112, section 8: the target must not take a part for the whole.
TEST_F(ProxyUpload, AClientThatLeavesDuringTheUploadBreaksTheTry) {
  start(proxying({9000}));
  for (std::string_view framing : {"Content-Length: 1000\r\n", "Transfer-Encoding: chunked\r\n"}) {
    ScriptedUpstream upstream(world, upstream_loop, target(9000));
    Client client(world, client_loop, address);
    client.send(request("POST", "/", framing) + "5\r\nhello\r\n");
    ASSERT_TRUE(upstream.await_heads(0, 1));
    world.run_for(1ms);
    client.raw().vanish();
    world.run_for(1ms);
    EXPECT_NE(upstream.peer(0).state, UpstreamPeer::State::kOpen) << framing;
    EXPECT_FALSE(upstream.peer(0).received.ends_with("\r\n0\r\n\r\n")) << framing;
  }
  EXPECT_EQ(tries("cancelled"), "2");
}

// Contract, section 3: 400 where framing is in doubt, told to the client although the target has the head.
TEST_F(ProxyUpload, ABadChunkIsTheClientsFault) {
  start(proxying({9000}));
  ScriptedUpstream upstream(world, upstream_loop, target(9000));
  Client client(world, client_loop, address);
  Answer answer =
      client.ask(request("POST", "/", "Transfer-Encoding: chunked\r\n") + "2\r\nab\r\nno size\r\n");
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(answer.code(), "bad_chunk_size");
  EXPECT_EQ(answer.field("Connection"), "close");
  world.run_for(1ms);
  EXPECT_NE(upstream.peer(0).state, UpstreamPeer::State::kOpen);
  EXPECT_EQ(tries("cancelled"), "1");
}

TEST_F(ProxyUpload, AChunkedBodyBeyondTheLimitIs413) {
  start(proxying({9000}, {}, "limits: { request_body: 10B }"));
  ScriptedUpstream upstream(world, upstream_loop, target(9000));
  Answer answer =
      ask(request("POST", "/", "Transfer-Encoding: chunked\r\n") + "6\r\n123456\r\n6\r\n123456\r\n");
  EXPECT_EQ(answer.status, 413);
  EXPECT_EQ(answer.code(), "request_too_large");
  world.run_for(1ms);
  EXPECT_NE(upstream.peer(0).state, UpstreamPeer::State::kOpen);
}

// Contract, section 2 `body_progress`: 408 for who stands still.
TEST_F(ProxyUpload, AClientThatStandsStillIs408) {
  start(proxying({9000}));
  ScriptedUpstream upstream(world, upstream_loop, target(9000));
  Client client(world, client_loop, address);
  Instant began = world.now();
  Answer answer = client.ask(request("POST", "/", "Content-Length: 1000\r\n") + "part");
  EXPECT_EQ(answer.status, 408);
  EXPECT_GE(world.now() - began, 10s);
  EXPECT_LE(world.now() - began, 20s);
  EXPECT_NE(access_log().find("\"error_by\":\"client\""), std::string::npos);
}

// Contract, section 2 `stream_idle`: a target that takes nothing.
TEST_F(ProxyUpload, ATargetThatStandsStillIs504) {
  start(proxying({9000}));
  ScriptedUpstream upstream(world, upstream_loop, target(9000), {}, false);
  Client client(world, client_loop, address);
  Answer answer = client.ask(request("POST", "/", "Content-Length: 1000000\r\n") + std::string(1000000, 'x'));
  EXPECT_EQ(answer.status, 504);
  EXPECT_EQ(answer.code(), "upstream_stalled");
}

}  // namespace
}  // namespace sluice::handlers::testing
