// WebSockets towards upstreams that speak HTTP/2: extended CONNECT (RFC 8441).
#include "handlers/proxy/http2_upstream_fixture.h"

namespace sluice::handlers::testing {
namespace {

constexpr std::string_view kAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";  // RFC 6455, section 1.3

class Http2WebSocket : public Http2UpstreamTest {
 protected:
  static std::string handshake(std::string_view more = {}) {
    return "GET /chat?room=1 HTTP/1.1\r\nHost: a.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
           std::string(more) + "\r\n";
  }
  /// A client with a WebSocket to the target's stream 1.
  gateway::testing::Client& open() {
    start_h2c();
    gateway::testing::Client& client = request_on(0, handshake());
    say(settings({{kConnectProtocol, 1}}));
    say(head(1, "200"));
    head_bytes_ = client.raw().received.size();
    EXPECT_TRUE(client.raw().received.starts_with("HTTP/1.1 101 ")) << client.raw().received;
    return client;
  }
  /// What came behind the head of the 101.
  std::string_view tunnelled(gateway::testing::Client& client) const {
    return std::string_view(client.raw().received).substr(head_bytes_);
  }

  size_t head_bytes_ = 0;
};

TEST_F(Http2WebSocket, AsksByExtendedConnectOnceTheServerOffersIt) {
  start_h2c();
  gateway::testing::Client& client =
      request_on(0, handshake("Sec-WebSocket-Protocol: chat, other\r\nOrigin: http://x.test\r\n"));
  EXPECT_EQ(frames().last_stream(), 0) << "its first SETTINGS have not come";
  say(settings({{kConnectProtocol, 1}}));
  ASSERT_EQ(frames().last_stream(), 1);
  auto& request = frames().answer(1).fields;
  EXPECT_EQ(request[":method"], "CONNECT");
  EXPECT_EQ(request[":protocol"], "websocket");
  EXPECT_EQ(request[":scheme"], "http");
  EXPECT_EQ(request[":path"], "/chat?room=1");
  EXPECT_EQ(request[":authority"], "a.test");
  EXPECT_EQ(request["sec-websocket-version"], "13");
  EXPECT_EQ(request["sec-websocket-protocol"], "chat, other");
  EXPECT_EQ(request["origin"], "http://x.test");
  for (const char* name : {"sec-websocket-key", "upgrade", "connection", "content-length"})
    EXPECT_FALSE(request.contains(name)) << name;
  EXPECT_FALSE(frames().answer(1).ended);

  say(head(1, "200", false, {{"sec-websocket-protocol", "chat"}}));
  const std::string& received = client.raw().received;
  EXPECT_TRUE(received.starts_with("HTTP/1.1 101 ")) << received;
  auto has = [&](std::string_view text) { return received.find(text) != std::string::npos; };
  EXPECT_TRUE(has("Sec-WebSocket-Accept: " + std::string(kAccept))) << received;
  EXPECT_TRUE(has("sec-websocket-protocol: chat")) << received;
  EXPECT_TRUE(has("Upgrade: websocket")) << received;
}

TEST_F(Http2WebSocket, BytesPassBothWays) {
  gateway::testing::Client& client = open();
  client.send(std::string("\x81\x82mask") + "hi");
  world.run_for(10ms);
  EXPECT_EQ(frames().answer(1).body, std::string("\x81\x82mask") + "hi");
  say(h2::data(1, "\x81\x02ok"));
  EXPECT_EQ(tunnelled(client), "\x81\x02ok");
}

TEST_F(Http2WebSocket, WhatComesWithTheAgreementIsNotLost) {
  start_h2c();
  gateway::testing::Client& client = request_on(0, handshake());
  say(settings({{kConnectProtocol, 1}}));
  say(head(1, "200") + h2::data(1, "\x81\x02ok"));
  EXPECT_TRUE(client.raw().received.ends_with("\r\n\r\n\x81\x02ok"));
}

TEST_F(Http2WebSocket, WithoutTheOfferTheRequestIsRefusedAndTheConnectionGoesOn) {
  start_h2c();
  gateway::testing::Client& client = request_on(0, handshake());
  say(settings());
  Answer answer = client.await_answer();
  EXPECT_EQ(answer.status, 502);
  EXPECT_EQ(answer.code(), "upstream_no_websocket");
  EXPECT_EQ(frames().last_stream(), 0);
  gateway::testing::Client& other = request_on(0, request("GET", "/"));
  say(Http2UpstreamTest::answer(1, "ok"));
  EXPECT_EQ(other.await_answer().body, "ok");
  EXPECT_EQ(upstream.connections(), 1u);
}

TEST_F(Http2WebSocket, ARefusalIsPassedOn) {
  start_h2c();
  gateway::testing::Client& client = request_on(0, handshake());
  say(settings({{kConnectProtocol, 1}}));
  say(head(1, "403") + h2::data(1, "no", true));
  Answer answer = client.await_answer();
  EXPECT_EQ(answer.status, 403);
  EXPECT_EQ(answer.body, "no");
  EXPECT_EQ(frames().answer(1).reset, 8u) << "CANCEL: our side is open";
}

TEST_F(Http2WebSocket, AnEndOfEitherSideReachesTheOther) {
  gateway::testing::Client& client = open();
  client.raw().end();
  world.run_for(10ms);
  EXPECT_TRUE(frames().answer(1).ended) << "END_STREAM for FIN (RFC 8441, section 5)";
  EXPECT_FALSE(client.ended());
  say(h2::data(1, "\x88\x02\x03\xe8", true));
  EXPECT_EQ(tunnelled(client), "\x88\x02\x03\xe8");
  world.run_for(6s);
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(frames().answer(1).reset, h2::kNoCode);
}

TEST_F(Http2WebSocket, AServerThatEndsFirstIsAnsweredByAnEnd) {
  gateway::testing::Client& client = open();
  say(h2::data(1, "\x88\x02\x03\xe8", true));
  EXPECT_EQ(tunnelled(client), "\x88\x02\x03\xe8");
  client.send(std::string("\x88\x82mask") + "\x6e\x89");
  world.run_for(10ms);
  client.raw().end();
  world.run_for(6s);
  EXPECT_TRUE(client.ended());
  EXPECT_TRUE(frames().answer(1).ended);
}

TEST_F(Http2WebSocket, AResetEndsTheClientsConnectionAndNoOther) {
  gateway::testing::Client& client = open();
  gateway::testing::Client& other = request_on(0, request("GET", "/"));
  say(h2::reset(1));
  world.run_for(6s);
  EXPECT_TRUE(client.ended());
  say(answer(3, "ok"));
  EXPECT_EQ(other.await_answer().body, "ok");
}

TEST_F(Http2WebSocket, AClientThatVanishesResetsTheStream) {
  gateway::testing::Client& client = open();
  client.raw().vanish();
  world.run_for(6s);
  EXPECT_TRUE(frames().answer(1).ended || frames().answer(1).reset == 8u);
  EXPECT_EQ(upstream.peer(0).state, UpstreamPeer::State::kOpen);
}

TEST_F(Http2WebSocket, TheConnectionsEndEndsIt) {
  gateway::testing::Client& client = open();
  upstream.peer(0).reset();
  world.run_for(6s);
  EXPECT_TRUE(client.ended());
}

// A window that is full holds up the client, not the gateway's memory.
TEST_F(Http2WebSocket, TheServersWindowHoldsUpTheClient) {
  gateway::testing::Client& client = open();
  std::string message = std::string("\x82\xff\0\0\0\0\0\x10\0\0mask", 14) + std::string(1 << 20, 'x');
  client.send(message);
  world.run_for(1s);
  EXPECT_EQ(frames().answer(1).body.size(), 65535u) << "the first window (RFC 9113, section 6.9.2)";
  say(h2::window(0, 1 << 24) + h2::window(1, 1 << 24));
  world.run_for(1s);
  EXPECT_EQ(frames().answer(1).body, message);
}

// A server that sends on while the client does not read is held up by its window.
TEST_F(Http2WebSocket, TheServersBytesAreBounded) {
  start_h2c();
  gateway::testing::RawClient client(world, client_loop, address, /*reads=*/false);
  client.send(handshake());
  ASSERT_TRUE(upstream.await_connections(1));
  world.run_for(10ms);
  say(settings({{kConnectProtocol, 1}}));
  say(head(1, "200"));
  uint64_t sent = 0;
  for (int i = 0; i < 200; ++i) {
    if (sent + 16384 > 131072 + frames().raised(1)) break;
    say(h2::data(1, std::string(16384, 'x')));
    sent += 16384;
  }
  EXPECT_LT(sent, 2u << 20);
  EXPECT_EQ(frames().goaway(), h2::kNoCode);
}

TEST_F(Http2WebSocket, ADrainSaysGoodbyeToBoth) {
  gateway::testing::Client& client = open();
  workers[0]->drain();
  world.run_for(1s);
  std::string_view goodbye = tunnelled(client);
  ASSERT_GE(goodbye.size(), 4u);
  EXPECT_EQ(goodbye.substr(0, 1), "\x88");
  EXPECT_EQ(goodbye.substr(2, 2), "\x03\xe9") << "1001 (RFC 6455, section 7.4.1)";
  EXPECT_TRUE(frames().answer(1).body.starts_with("\x88"));
}

TEST_F(Http2WebSocket, HeadersOnATunnelEndIt) {
  gateway::testing::Client& client = open();
  say(h2::headers(1, {{"a", "trailer"}}, true));
  world.run_for(6s);
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(frames().answer(1).reset, 1u);
}

// Those that were waiting for the server's settings when it allows fewer.
TEST_F(Http2WebSocket, WhatIsMoreThanTheServerTakesGoesElsewhere) {
  start_h2c();
  gateway::testing::Client& first = request_on(0, handshake());
  gateway::testing::Client& second = request_on(0, handshake());
  say(settings({{kConnectProtocol, 1}, {kMostStreams, 1}}));
  EXPECT_EQ(frames().last_stream(), 1);
  ASSERT_TRUE(upstream.await_connections(2));
  world.run_for(10ms);
  say(settings({{kConnectProtocol, 1}}), 1);
  say(head(1, "200"), 1);
  say(head(1, "200"), 0);
  EXPECT_TRUE(first.raw().received.starts_with("HTTP/1.1 101 "));
  EXPECT_TRUE(second.raw().received.starts_with("HTTP/1.1 101 "));
}

}  // namespace
}  // namespace sluice::handlers::testing
