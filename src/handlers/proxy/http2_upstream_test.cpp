// Requests to upstreams that speak HTTP/2: what goes out, what comes back, and what is sent again.
#include "handlers/proxy/http2_upstream_fixture.h"

namespace sluice::handlers::testing {
namespace {

class Http2Upstream : public Http2UpstreamTest {};

TEST_F(Http2Upstream, ManyRequestsShareAConnection) {
  start_h2c();
  gateway::testing::Client& first = request_on(0, request("GET", "/a?b=c"));
  gateway::testing::Client& second = request_on(0, request("POST", "/d", "Content-Length: 2\r\n") + "hi");
  say(settings());
  EXPECT_EQ(upstream.connections(), 1u);
  auto& get = frames().answer(1).fields;
  EXPECT_EQ(get[":method"], "GET");
  EXPECT_EQ(get[":scheme"], "http");
  EXPECT_EQ(get[":path"], "/a?b=c");
  EXPECT_EQ(get[":authority"], "a.test");
  EXPECT_TRUE(frames().answer(1).ended);
  EXPECT_EQ(frames().answer(3).fields["content-length"], "2");
  EXPECT_EQ(frames().answer(3).body, "hi");
  say(answer(3, "second") + answer(1, "first"));
  EXPECT_EQ(first.await_answer().body, "first");
  EXPECT_EQ(second.await_answer().body, "second");
}

TEST_F(Http2Upstream, InterimResponsesAndTrailersPass) {
  start_h2c();
  gateway::testing::Client& client =
      request_on(0, request("POST", "/", "Transfer-Encoding: chunked\r\nTE: trailers\r\nConnection: TE\r\n") +
                        "1\r\nx\r\n0\r\nx-sum: 1\r\n\r\n");
  say(settings());
  EXPECT_EQ(frames().answer(1).trailers["x-sum"], "1");
  EXPECT_EQ(frames().answer(1).fields["te"], "trailers");
  say(head(1, "103", false, {{"link", "</a>"}}));
  say(head(1, "200") + h2::data(1, "body") + h2::headers(1, {{"x-end", "2"}}));
  Answer answer = client.await_answer();
  ASSERT_EQ(client.interim.size(), 1u);
  EXPECT_EQ(client.interim[0].status, 103);
  EXPECT_EQ(answer.body, "body");
  EXPECT_NE(client.raw().received.find("x-end: 2\r\n"), std::string::npos);
}

// RFC 9113, section 6.8: what the last one answered is not behind was not processed, and may be sent again.
TEST_F(Http2Upstream, RequestsBehindAGoawayAreSentAgain) {
  start_h2c("retry: { attempts: 1 }");
  gateway::testing::Client& first = request_on(0, request("GET", "/1"));
  gateway::testing::Client& second = request_on(0, request("GET", "/2"));
  gateway::testing::Client& post = request_on(0, request("POST", "/3"));
  say(settings());
  say(goaway(1));
  ASSERT_TRUE(upstream.await_connections(2));
  world.run_for(10ms);
  say(settings(), 1);
  EXPECT_EQ(frames(1).answer(1).fields[":path"], "/2");
  EXPECT_EQ(frames(1).answer(3).fields[":path"], "/3");
  say(answer(1, "two") + answer(3, "three"), 1);
  EXPECT_EQ(second.await_answer().body, "two");
  EXPECT_EQ(post.await_answer().body, "three") << "not idempotent, but nothing was done";
  EXPECT_EQ(upstream.peer(0).state, UpstreamPeer::State::kOpen);
  say(answer(1, "one"));
  EXPECT_EQ(first.await_answer().body, "one");
  world.run_for(1s);
  EXPECT_EQ(upstream.peer(0).state, UpstreamPeer::State::kEnded) << "with its last request";
}

TEST_F(Http2Upstream, AGoawayAsANoticeEndsNothing) {
  start_h2c();
  gateway::testing::Client& first = request_on(0, request("GET", "/1"));
  say(settings());
  say(goaway(INT32_MAX));
  gateway::testing::Client& second = request_on(1, request("GET", "/2"));
  EXPECT_EQ(frames(0).last_stream(), 1);
  EXPECT_EQ(frames(1).answer(1).fields[":path"], "/2");
  say(answer(1, "one"));
  say(settings() + answer(1, "two"), 1);
  EXPECT_EQ(first.await_answer().body, "one");
  EXPECT_EQ(second.await_answer().body, "two");
}

// RFC 9113, section 8.7: REFUSED_STREAM.
TEST_F(Http2Upstream, ARefusedRequestGoesToAnotherTarget) {
  start_h2c("retry: { attempts: 1 }", {9000, 9001});
  ScriptedUpstream other(world, upstream_loop, target(9001), [](UpstreamPeer& peer) {
    if (peer.received.size() < 100 || peer.received.find("seen") != std::string::npos) return;
    peer.received += "seen";
    peer.send(settings() + answer(1, "other"));
  });
  gateway::testing::Client& client = request_on(0, request("POST", "/"));
  say(settings());
  say(h2::reset(1, 7));
  EXPECT_EQ(client.await_answer().body, "other");
  EXPECT_EQ(retries("stale_connection"), "1");
}

// Nothing of a body is read before the server could refuse its request.
TEST_F(Http2Upstream, BodiesWaitUntilTheServerCouldRefuseThem) {
  start_h2c("retry: { attempts: 1 }");
  gateway::testing::Client& first = request_on(0, request("POST", "/1", "Content-Length: 1\r\n") + "1");
  gateway::testing::Client& second = request_on(0, request("POST", "/2", "Content-Length: 1\r\n") + "2");
  EXPECT_EQ(frames().last_stream(), 3);
  say(settings({{kMostStreams, 1}}));
  EXPECT_EQ(frames().answer(1).body + frames().answer(3).body, "");
  EXPECT_EQ(frames().count(h2::kPing), 1u);
  say(h2::reset(3, 7) + h2::frame(h2::kPing, h2::kAck, 0, std::string(8, '\0')));
  EXPECT_EQ(frames().answer(1).body, "1");
  ASSERT_TRUE(upstream.await_connections(2));
  world.run_for(10ms);
  say(settings({{kMostStreams, 1}}), 1);
  EXPECT_EQ(frames(1).answer(1).body, "2");
  say(answer(1, "two"), 1);
  say(answer(1, "one"));
  EXPECT_EQ(first.await_answer().body, "one");
  EXPECT_EQ(second.await_answer().body, "two");
}

// RFC 9113, section 8.7: whatever its method, nothing was done with it.
TEST_F(Http2Upstream, ARefusedRequestIsSentAgainWithItsBody) {
  start_h2c();
  gateway::testing::Client& client = request_on(0, request("POST", "/", "Content-Length: 5\r\n") + "hello");
  say(settings());
  EXPECT_EQ(frames().answer(1).body, "hello");
  say(h2::reset(1, 7));
  world.run_for(1ms);
  EXPECT_EQ(frames().answer(3).body, "hello");
  say(answer(3, "done"));
  EXPECT_EQ(client.await_answer().body, "done");
}

TEST_F(Http2Upstream, ARefusedRequestWhoseBodyWasNotKeptIsNotSentAgain) {
  start_h2c("retry: { body: 0 }");
  gateway::testing::Client& client = request_on(0, request("PUT", "/", "Content-Length: 5\r\n") + "hello");
  say(settings());
  EXPECT_EQ(frames().answer(1).body, "hello");
  say(h2::reset(1, 7));
  EXPECT_EQ(client.await_answer().status, 502);
  EXPECT_EQ(frames().last_stream(), 1);
}

TEST_F(Http2Upstream, ARequestThatIsRefusedAgainAndAgainFails) {
  start_h2c("retry: { attempts: 2 }");
  gateway::testing::Client& client = request_on(0, request("GET", "/"));
  say(settings());
  for (int32_t stream = 1; stream <= 5; stream += 2) say(h2::reset(stream, 7));
  Answer answer = client.await_answer();
  EXPECT_EQ(answer.status, 502);
  EXPECT_EQ(answer.code(), "upstream_reset");
  EXPECT_EQ(frames().last_stream(), 5) << "one is forgiven, two are configured";
}

// RFC 9113, section 8.1: a server may answer before the request is whole, and ask for no more of it.
TEST_F(Http2Upstream, AnEarlyAnswerCountsAlthoughTheRestIsNotWanted) {
  start_h2c();
  gateway::testing::Client& client =
      request_on(0, request("POST", "/", "Content-Length: 1000000\r\n") + std::string(100000, 'x'));
  say(settings());
  EXPECT_EQ(frames().answer(1).body.size(), 65535u);
  say(head(1, "413") + h2::data(1, "too large", true) + h2::reset(1, 0));
  Answer answer = client.await_answer();
  EXPECT_EQ(answer.status, 413);
  EXPECT_EQ(answer.body, "too large");
  EXPECT_EQ(tries("ok"), "");
  gateway::testing::Client& other = request_on(0, request("GET", "/"));
  say(Http2UpstreamTest::answer(3, "ok"));
  EXPECT_EQ(other.await_answer().body, "ok");
}

TEST_F(Http2Upstream, AnEarlyAnswerIsHeardWhileTheWindowIsShut) {
  start_h2c();
  gateway::testing::Client& client =
      request_on(0, request("POST", "/", "Content-Length: 1000000\r\n") + std::string(100000, 'x'));
  say(settings());
  say(answer(1, "enough"));
  EXPECT_EQ(client.await_answer().body, "enough");
  world.run_for(1s);
  EXPECT_NE(frames().answer(1).reset, h2::kNoCode) << "the rest will not come";
}

TEST_F(Http2Upstream, TheServersStreamLimitIsLearned) {
  start_h2c();
  gateway::testing::Client& first = request_on(0, request("GET", "/"));
  say(settings({{kMostStreams, 2}}) + answer(1, "ok"));
  EXPECT_EQ(first.await_answer().body, "ok");
  std::vector<gateway::testing::Client*> clients;
  for (int i = 0; i < 6; ++i) clients.push_back(&request_on(0, request("GET", "/" + std::to_string(i))));
  ASSERT_TRUE(upstream.await_connections(3));
  world.run_for(10ms);
  EXPECT_EQ(upstream.connections(), 3u) << "no more than are needed";
  EXPECT_EQ(frames(0).last_stream(), 5) << "two at once";
  for (size_t number = 1; number < 3; ++number) {
    EXPECT_EQ(frames(number).last_stream(), 3) << "what it said before holds for a new connection";
    say(settings({{kMostStreams, 2}}) + answer(1, "ok") + answer(3, "ok"), number);
  }
  say(answer(3, "ok") + answer(5, "ok"));
  for (auto* client : clients) EXPECT_EQ(client->await_answer().body, "ok");
}

// Those that were sent before the limit was known are refused, and go to as many connections as they need.
TEST_F(Http2Upstream, WhatWasSentBeforeTheLimitWasKnownIsSentAgain) {
  start_h2c("retry: { attempts: 1 }");
  std::vector<gateway::testing::Client*> clients;
  for (int i = 0; i < 6; ++i) clients.push_back(&request_on(0, request("GET", "/" + std::to_string(i))));
  EXPECT_EQ(frames().last_stream(), 11);
  say(settings({{kMostStreams, 2}}) + h2::reset(5, 7) + h2::reset(7, 7) + h2::reset(9, 7) + h2::reset(11, 7));
  ASSERT_TRUE(upstream.await_connections(3));
  world.run_for(10ms);
  EXPECT_EQ(upstream.connections(), 3u);
  for (size_t number = 1; number < 3; ++number)
    say(settings({{kMostStreams, 2}}) + answer(1, "ok") + answer(3, "ok"), number);
  say(answer(1, "ok") + answer(3, "ok"));
  for (auto* client : clients) EXPECT_EQ(client->await_answer().body, "ok");
}

// RFC 9113, section 6.9.2: a smaller first window takes back what was promised.
TEST_F(Http2Upstream, WindowsMayShrinkAndGrow) {
  start_h2c();
  gateway::testing::Client& client =
      request_on(0, request("POST", "/", "Content-Length: 1000\r\n") + std::string(1000, 'x'));
  say(settings({{kInitialWindow, 0}}));
  gateway::testing::Client& second =
      request_on(0, request("POST", "/", "Content-Length: 1000\r\n") + std::string(1000, 'y'));
  EXPECT_EQ(frames().answer(3).body, "");
  say(h2::window(3, 10));
  EXPECT_EQ(frames().answer(3).body, std::string(10, 'y'));
  say(settings({{kInitialWindow, 65535}}));
  EXPECT_EQ(frames().answer(3).body, std::string(1000, 'y'));
  say(answer(1, "a") + answer(3, "b"));
  EXPECT_EQ(client.await_answer().body, "a");
  EXPECT_EQ(second.await_answer().body, "b");
}

TEST_F(Http2Upstream, AServerThatTakesNothingOfTheBodyIsGivenUp) {
  start_h2c();
  gateway::testing::Client& client =
      request_on(0, request("POST", "/", "Content-Length: 1000000\r\n") + std::string(100000, 'x'));
  say(settings());
  Answer answer = client.await_answer();
  EXPECT_EQ(answer.status, 504);
  EXPECT_EQ(answer.code(), "upstream_stalled");
  EXPECT_EQ(frames().answer(1).reset, 8u);
}

TEST_F(Http2Upstream, AClientThatLeavesCancelsItsRequestAlone) {
  start_h2c();
  gateway::testing::Client& first = request_on(0, request("GET", "/1"));
  gateway::testing::Client& second = request_on(0, request("GET", "/2"));
  say(settings());
  first.raw().vanish();
  world.run_for(10ms);
  EXPECT_EQ(frames().answer(1).reset, 8u);
  say(answer(3, "ok"));
  EXPECT_EQ(second.await_answer().body, "ok");
}

// What is on its way to a client that does not read is bounded, and holds up no other.
TEST_F(Http2Upstream, AnAnswerThatIsNotReadHoldsUpNoOther) {
  start_h2c();
  gateway::testing::RawClient deaf(world, client_loop, address, /*reads=*/false);
  deaf.send(request("GET", "/large"));
  ASSERT_TRUE(upstream.await_connections(1));
  world.run_for(10ms);
  say(settings() + head(1, "200"));
  uint64_t sent = 0;
  while (sent + 16384 <= 131072 + frames().raised(1)) {
    say(h2::data(1, std::string(16384, 'x')));
    sent += 16384;
    ASSERT_LT(sent, 4u << 20);
  }
  gateway::testing::Client& client = request_on(0, request("GET", "/small"));
  say(answer(3, "ok"));
  EXPECT_EQ(client.await_answer().body, "ok");
}

TEST_F(Http2Upstream, APlainTargetOfHttp1IsRefused) {
  start_h2c("retry: { attempts: 1 }");
  gateway::testing::Client& client = request_on(0, request("GET", "/"));
  say("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
  Answer answer = client.await_answer();
  EXPECT_EQ(answer.status, 502);
  EXPECT_EQ(answer.code(), "upstream_protocol");
}

TEST_F(Http2Upstream, AReloadToHttp1EndsTheConnectionWithItsLastRequest) {
  start_h2c();
  gateway::testing::Client& client = request_on(0, request("GET", "/"));
  say(settings());
  reload(proxying({9000}, "protocol: h1"));
  gateway::testing::Client& second = request_on(1, request("GET", "/"));
  upstream.peer(1).ok("one");
  EXPECT_EQ(second.await_answer().body, "one");
  say(answer(1, "two"));
  EXPECT_EQ(client.await_answer().body, "two");
  world.run_for(1s);
  EXPECT_EQ(upstream.peer(0).state, UpstreamPeer::State::kEnded);
}

}  // namespace
}  // namespace sluice::handlers::testing
