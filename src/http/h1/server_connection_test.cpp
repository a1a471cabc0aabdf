#include "http/h1/server_connection.h"

#include <gmock/gmock.h>

#include "http/h1/server_fixture.h"

namespace sluice::http::h1::testing {
namespace {

using State = RawClient::State;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

std::string get(std::string_view path, std::string_view fields = "") {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: a\r\n" + std::string(fields) + "\r\n";
}
std::string get10(std::string_view path, std::string_view fields = "") {
  return "GET " + std::string(path) + " HTTP/1.0\r\n" + std::string(fields) + "\r\n";
}
std::string post(std::string_view path, std::string_view body, size_t length) {
  return "POST " + std::string(path) + " HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(length) +
         "\r\n\r\n" + std::string(body);
}
size_t count(std::string_view text, std::string_view of) {
  size_t n = 0;
  for (size_t at = text.find(of); at != std::string_view::npos; at = text.find(of, at + of.size())) ++n;
  return n;
}

class ServerConnectionTest : public ServerTest {};

/// Bytes travel in pieces of any size: the same must come out.
class SplitServerConnectionTest : public ServerTest {
 protected:
  SplitServerConnectionTest() : ServerTest({.seed = 3, .pipe_bytes = 4000, .split_transfers = true}) {}
};

// RFC 9112, section 9.3: HTTP/1.1 connections persist.
TEST_F(ServerConnectionTest, KeepsTheConnectionForAnotherRequest) {
  RawClient client(world, client_loop, address);
  client.send(get("/a"));
  world.run_for(1s);
  EXPECT_THAT(client.received, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(client.received, EndsWith("\r\n\r\nok"));
  EXPECT_THAT(client.received, Not(HasSubstr("Connection:")));
  EXPECT_EQ(handler.active, 0);
  client.send(get("/b"));
  world.run_for(1s);
  EXPECT_THAT(handler.log, ElementsAre("GET /a", "GET /b"));
  EXPECT_EQ(client.state, State::kOpen);
}

TEST_F(ServerConnectionTest, IdleConnectionEndsAfterTheKeepAliveTime) {
  RawClient client(world, client_loop, address);
  client.send(get("/a"));
  world.run_for(74s);
  EXPECT_EQ(client.state, State::kOpen);
  world.run_for(2s);
  EXPECT_EQ(client.state, State::kEnded);
}

// RFC 9112, section 9.6: `close` ends the connection after the response, which says so too.
TEST_F(ServerConnectionTest, ClosesWhenTheClientAsks) {
  RawClient client(world, client_loop, address);
  client.send(get("/a", "Connection: close\r\n"));
  world.run_for(1s);
  EXPECT_THAT(client.received, HasSubstr("\r\nConnection: close\r\n"));
  EXPECT_EQ(client.state, State::kEnded);
}

// RFC 9112, section 9.3.2: responses in the order of the requests.
TEST_F(ServerConnectionTest, AnswersPipelinedRequestsInOrder) {
  RawClient client(world, client_loop, address);
  client.send(get("/slow") + post("/echo", "first", 5) + get("/a") + post("/echo", "second", 6));
  world.run_for(10s);
  EXPECT_THAT(handler.log, ElementsAre("GET /slow", "POST /echo", "GET /a", "POST /echo"));
  EXPECT_EQ(count(client.received, "HTTP/1.1 200 OK"), 4u);
  EXPECT_LT(client.received.find("first"), client.received.find("second"));
  EXPECT_THAT(client.received, EndsWith("second"));
}

TEST_F(SplitServerConnectionTest, PiecesOfAnySizeMakeTheSameMessages) {
  RawClient client(world, client_loop, address);
  std::string body(10'000, 'b');
  client.send(
      get("/a") + post("/echo", body, body.size()) +
      "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n" +
      get("/stream"));
  world.run_for(5s);
  EXPECT_THAT(handler.log, ElementsAre("GET /a", "POST /echo", "POST /echo", "GET /stream"));
  EXPECT_THAT(client.received, HasSubstr("\r\n\r\n" + body + "HTTP/1.1 200 OK"));
  EXPECT_THAT(client.received, HasSubstr("\r\n\r\nabcdeHTTP/1.1 200 OK"));
  EXPECT_THAT(client.received, EndsWith("3\r\none\r\n5\r\nthree\r\n0\r\n\r\n"));
}

// RFC 9110, section 15.5.9.
TEST_F(ServerConnectionTest, SlowHeadIsAnsweredWith408) {
  RawClient client(world, client_loop, address);
  Instant start = world.now();
  client.send("GET / HT");
  for (int i = 0; i < 12; ++i) {
    world.run_for(1s);
    if (client.state == State::kOpen) client.send("x");
  }
  EXPECT_THAT(handler.log, ElementsAre("refused request_timeout"));
  EXPECT_THAT(client.received, StartsWith("HTTP/1.1 408 "));
  EXPECT_THAT(client.received, HasSubstr("Connection: close"));
  world.run_for(5s);
  EXPECT_EQ(client.state, State::kEnded);
  EXPECT_LE(client.ended_at - start, 14s);
}

// Its first bytes came together with the request before it.
TEST_F(ServerConnectionTest, SlowPipelinedHeadIsAnsweredWith408) {
  RawClient client(world, client_loop, address);
  client.send(get("/a") + "GET /b HT");
  world.run_for(15s);
  EXPECT_THAT(handler.log, ElementsAre("GET /a", "refused request_timeout"));
  EXPECT_THAT(client.received, HasSubstr("okHTTP/1.1 408 "));
}

TEST_F(ServerConnectionTest, BytesOfPipelinedRequestsAreCountedEachToItsOwn) {
  RawClient client(world, client_loop, address);
  client.send(get("/a") + post("/echo", "body", 4) + get("/longer"));
  world.run_for(1s);
  EXPECT_THAT(handler.request_bytes,
              ElementsAre(get("/a").size(), post("/echo", "body", 4).size(), get("/longer").size()));
}

TEST_F(ServerConnectionTest, ConnectionWithoutAByteEndsSilently) {
  RawClient client(world, client_loop, address);
  world.run_for(11s);
  EXPECT_EQ(client.received, "");
  EXPECT_EQ(client.state, State::kEnded);
  EXPECT_THAT(handler.log, IsEmpty());
}

TEST_F(ServerConnectionTest, TrickledBodyIsCancelledAsUpload) {
  RawClient client(world, client_loop, address);
  client.send(post("/upload", "", 100));
  for (int i = 0; i < 5; ++i) {
    client.send("x");
    world.run_for(1s);
  }
  EXPECT_THAT(handler.log, ElementsAre("POST /upload cancelled upload"));
  EXPECT_THAT(client.received, StartsWith("HTTP/1.1 408 "));
  EXPECT_THAT(client.received, HasSubstr("Connection: close"));
}

TEST_F(ServerConnectionTest, SlowReaderEnds) {
  RawClient client(world, client_loop, address, false);
  client.send(get("/big"));
  world.run_for(5s);
  EXPECT_EQ(handler.active, 1);
  world.run_for(10s);
  EXPECT_THAT(handler.log, ElementsAre("GET /big client-failed"));
  EXPECT_EQ(handler.open, 0);
}

TEST_F(ServerConnectionTest, DrainEndsIdleConnections) {
  RawClient client(world, client_loop, address);
  client.send(get("/a"));
  world.run_for(1s);
  connections.for_each([](Connection& each) { each.drain(); });
  world.run_for(1s);
  EXPECT_EQ(client.state, State::kEnded);
}

// A client of an idle connection may have asked just before it could hear of the drain.
TEST_F(ServerConnectionTest, DrainAnswersOneMoreRequest) {
  RawClient kept(world, client_loop, address);
  RawClient fresh(world, client_loop, address);
  kept.send(get("/a"));
  world.run_for(1s);
  connections.for_each([](Connection& each) { each.drain(); });
  world.run_for(kDrainGrace / 2);
  EXPECT_EQ(kept.state, State::kOpen);
  kept.send(get("/b"));
  fresh.send(get("/c"));
  world.run_for(1ms);
  EXPECT_THAT(handler.log, UnorderedElementsAre("GET /a", "GET /b", "GET /c"));
  for (RawClient* client : {&kept, &fresh}) {
    EXPECT_THAT(client->received, HasSubstr("Connection: close"));
    EXPECT_THAT(client->received, EndsWith("\r\n\r\nok"));
  }
  world.run_for(1s);
  EXPECT_EQ(kept.state, State::kEnded);
  EXPECT_EQ(fresh.state, State::kEnded);
}

TEST_F(ServerConnectionTest, ConnectionThatComesDuringADrainAsksOnce) {
  handler.drains = true;
  RawClient client(world, client_loop, address);
  client.send(get("/a"));
  world.run_for(1s);
  EXPECT_THAT(client.received, HasSubstr("Connection: close"));
  EXPECT_EQ(client.state, State::kEnded);
}

TEST_F(ServerConnectionTest, DrainLetsTheRequestInHandFinish) {
  RawClient client(world, client_loop, address);
  client.send(get("/slow"));
  world.run_for(1s);
  connections.for_each([](Connection& each) { each.drain(); });
  world.run_for(10s);
  EXPECT_THAT(handler.log, ElementsAre("GET /slow"));
  EXPECT_THAT(client.received, HasSubstr("Connection: close"));
  EXPECT_THAT(client.received, EndsWith("\r\n\r\nok"));
  EXPECT_EQ(client.state, State::kEnded);
}

// Closing with the second request unread would reset the connection and may take the response with it (RFC
// 9112, section 9.6).
TEST_F(ServerConnectionTest, DrainWithAPipelinedRequestDoesNotLoseTheResponse) {
  RawClient client(world, client_loop, address);
  client.send(get("/slow") + get("/a"));
  world.run_for(1s);
  connections.for_each([](Connection& each) { each.drain(); });
  world.run_for(10s);
  EXPECT_THAT(client.received, EndsWith("\r\n\r\nok"));
  EXPECT_EQ(client.state, State::kEnded);
}

// The response has said nothing of a close, so a request that has arrived by its end is answered.
TEST_F(ServerConnectionTest, DrainWhileABodyIsSentAnswersWhatHasArrived) {
  RawClient client(world, client_loop, address, false);
  client.send(get("/big") + get("/a"));
  world.run_for(1s);
  connections.for_each([](Connection& each) { each.drain(); });
  world.run_for(1s);
  EXPECT_EQ(handler.active, 1);
  client.read();
  world.run_for(1s);
  EXPECT_THAT(handler.log, ElementsAre("GET /big", "GET /a"));
  EXPECT_THAT(client.received, HasSubstr("Connection: close"));
  EXPECT_THAT(client.received, EndsWith("\r\n\r\nok"));
  EXPECT_EQ(client.state, State::kEnded);
}

// RFC 9112, section 9.3: HTTP/1.0 ends after the response unless keep-alive was asked for.
TEST_F(ServerConnectionTest, Http10Closes) {
  RawClient client(world, client_loop, address);
  client.send(get10("/a"));
  world.run_for(1s);
  EXPECT_THAT(client.received, HasSubstr("Connection: close"));
  EXPECT_EQ(client.state, State::kEnded);
}

TEST_F(ServerConnectionTest, Http10KeepAliveIsSaidAloud) {
  RawClient client(world, client_loop, address);
  client.send(get10("/a", "Connection: keep-alive\r\n"));
  world.run_for(1s);
  EXPECT_THAT(client.received, HasSubstr("Connection: keep-alive"));
  EXPECT_EQ(client.state, State::kOpen);
}

// RFC 9112, section 6.1: no chunks to HTTP/1.0; section 6.3 rule 8: the close delimits.
TEST_F(ServerConnectionTest, UnknownLengthIsDelimitedByCloseForHttp10) {
  RawClient client(world, client_loop, address);
  client.send(get10("/stream", "Connection: keep-alive\r\n"));
  world.run_for(1s);
  EXPECT_THAT(client.received, Not(HasSubstr("Transfer-Encoding")));
  EXPECT_THAT(client.received, EndsWith("\r\n\r\nonethree"));
  EXPECT_EQ(client.state, State::kEnded);
}

TEST_F(ServerConnectionTest, UnknownLengthIsChunkedForHttp11) {
  RawClient client(world, client_loop, address);
  client.send(get("/stream"));
  world.run_for(1s);
  EXPECT_THAT(client.received, HasSubstr("Transfer-Encoding: chunked"));
  EXPECT_THAT(client.received, EndsWith("\r\n\r\n3\r\none\r\n5\r\nthree\r\n0\r\n\r\n"));
  EXPECT_EQ(client.state, State::kOpen);
}

// RFC 9110, section 9.3.2: no content; the connection stays in step.
TEST_F(ServerConnectionTest, HeadHasNoBody) {
  RawClient client(world, client_loop, address);
  for (std::string_view path : {"/a", "/stream", "/short"}) {
    client.received.clear();
    client.send("HEAD " + std::string(path) + " HTTP/1.1\r\nHost: a\r\n\r\n");
    world.run_for(1s);
    EXPECT_THAT(client.received, EndsWith("\r\n\r\n")) << path;
    EXPECT_EQ(count(client.received, "\r\n\r\n"), 1u) << path;
  }
  EXPECT_EQ(client.state, State::kOpen);
}

// RFC 9110, section 15.2: a 1xx goes before the response, and never to HTTP/1.0.
TEST_F(ServerConnectionTest, InformationalComesFirst) {
  RawClient client(world, client_loop, address);
  client.send(get("/informed"));
  world.run_for(1s);
  EXPECT_THAT(client.received, StartsWith("HTTP/1.1 103 "));
  EXPECT_THAT(client.received, HasSubstr("\r\n\r\nHTTP/1.1 204 "));
  RawClient old(world, client_loop, address);
  old.send(get10("/informed"));
  world.run_for(1s);
  EXPECT_THAT(old.received, StartsWith("HTTP/1.1 204 "));
}

/// RFC 9112, section 8: a message that breaks off must not look whole.
TEST_F(ServerConnectionTest, WrongBodyBreaksTheConnection) {
  for (std::string_view path : {"/short", "/long", "/breaks", "/short-bytes", "/no-bytes"}) {
    for (bool old : {false, true}) {
      handler.log.clear();
      RawClient client(world, client_loop, address);
      client.send(old ? get10(path) : get(path));
      world.run_for(1s);
      EXPECT_EQ(client.state, State::kReset) << path << old;
      EXPECT_THAT(client.received, Not(HasSubstr("\r\n0\r\n\r\n"))) << path;
      EXPECT_THAT(handler.log, ElementsAre("GET " + std::string(path) + " source-failed"));
    }
  }
}

TEST_F(ServerConnectionTest, BytesOfUnannouncedLengthAreFramedToo) {
  RawClient client(world, client_loop, address);
  client.send(get("/unknown-bytes"));
  world.run_for(1s);
  EXPECT_THAT(client.received, EndsWith("\r\n\r\n4\r\nfour\r\n0\r\n\r\n"));
  client.received.clear();
  client.send(get("/a"));
  world.run_for(1s);
  EXPECT_THAT(client.received, EndsWith("\r\n\r\nok"));
}

TEST_F(ServerConnectionTest, SmallUnreadBodyIsDroppedAndTheConnectionKept) {
  RawClient client(world, client_loop, address);
  client.send(post("/a", "", 10'000));
  world.run_for(1s);
  EXPECT_THAT(client.received, Not(HasSubstr("Connection: close")));
  client.send(std::string(10'000, 'x') + get("/b"));
  world.run_for(1s);
  EXPECT_THAT(handler.log, ElementsAre("POST /a", "GET /b"));
}

TEST_F(ServerConnectionTest, LargeUnreadBodyClosesWithoutAReset) {
  RawClient client(world, client_loop, address);
  std::string big(200'000, 'x');
  client.send(post("/a", big, 10'000'000));
  world.run_for(5s);
  EXPECT_THAT(client.received, HasSubstr("Connection: close"));
  EXPECT_THAT(client.received, EndsWith("\r\n\r\nok"));
  EXPECT_EQ(client.state, State::kEnded);
  EXPECT_EQ(handler.open, 0);
}

TEST_F(ServerConnectionTest, RestOfASmallBodyIsNotAwaitedForEver) {
  RawClient client(world, client_loop, address);
  client.send(post("/a", "", 10'000));
  world.run_for(11s);
  EXPECT_EQ(client.state, State::kEnded);
}

// RFC 9112, section 8: nobody is left who could be answered.
TEST_F(ServerConnectionTest, EndWithinAHeadIsLoggedAndNotAnswered) {
  RawClient client(world, client_loop, address);
  client.send("GET / HTTP/1.1\r\nHo");
  client.end();
  world.run_for(1s);
  EXPECT_THAT(handler.log, ElementsAre("refused client_gone"));
  EXPECT_EQ(client.received, "");
  EXPECT_NE(client.state, State::kOpen);
}

// RFC 9112, section 9.6: a client may close its side once it has asked.
TEST_F(ServerConnectionTest, HalfClosedClientIsAnswered) {
  RawClient client(world, client_loop, address);
  client.send(get("/slow"));
  client.end();
  world.run_for(6s);
  EXPECT_THAT(handler.log, ElementsAre("GET /slow"));
  EXPECT_THAT(client.received, EndsWith("\r\n\r\nok"));
  EXPECT_EQ(client.state, State::kEnded);
}

TEST_F(ServerConnectionTest, VanishedClientCancelsItsRequest) {
  RawClient client(world, client_loop, address);
  client.send(get("/slow"));
  world.run_for(1s);
  client.vanish();
  world.run_for(1s);
  EXPECT_THAT(handler.log, ElementsAre("GET /slow cancelled client-failed"));
  EXPECT_EQ(handler.open, 0);
}

std::string upgrade(std::string_view line, std::string_view to, std::string_view more = {}) {
  std::string text(line);
  return text + " HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: " + std::string(to) + "\r\n" +
         std::string(more) + "\r\n";
}

// RFC 9110, section 7.8.
TEST_F(ServerConnectionTest, UpgradeMakesATunnelThatOutlivesItsExchange) {
  RawClient client(world, client_loop, address);
  client.send(upgrade("GET /tunnel", "WebSocket") + "early");
  world.run_for(1s);
  EXPECT_THAT(handler.log, ElementsAre("GET /tunnel to websocket"));
  EXPECT_THAT(client.received, StartsWith("HTTP/1.1 101 Switching Protocols\r\nDate: "));
  EXPECT_THAT(client.received, EndsWith("Upgrade: websocket\r\nConnection: Upgrade\r\n\r\nearly"));
  EXPECT_EQ(handler.active, 1);
  client.send("later");
  world.run_for(10min);  // no timeout of HTTP bounds it
  EXPECT_THAT(client.received, EndsWith("earlylater"));
  connections.for_each([](Connection& each) { each.drain(); });
  client.send("drained");
  world.run_for(1s);
  EXPECT_THAT(client.received, EndsWith("drained"));
  client.end();
  world.run_for(1s);
  EXPECT_TRUE(handler.tunnel_ended);
  EXPECT_EQ(client.state, State::kEnded);
  EXPECT_EQ(handler.open, 0);
}

TEST_F(ServerConnectionTest, CancelledConnectionEndsItsTunnel) {
  RawClient client(world, client_loop, address);
  client.send(upgrade("GET /tunnel", "websocket"));
  world.run_for(1s);
  connections.for_each([](Connection& each) { each.cancel(io::CancelReason::kDrain); });
  world.run_for(1s);
  EXPECT_TRUE(handler.tunnel_ended);
  EXPECT_NE(client.state, State::kOpen);
}

// Contract, section 3: only `Upgrade: websocket` passes; RFC 6455, section 4.1: with GET, and HTTP/1.1.
TEST_F(ServerConnectionTest, OtherUpgradesAreIgnored) {
  for (const std::string& request : {upgrade("GET /tunnel", "h2c"), upgrade("POST /tunnel", "websocket"),
                                     upgrade("HEAD /tunnel", "websocket"),
                                     upgrade("GET /tunnel", "websocket", "Content-Length: 1\r\n") + "x"}) {
    handler.log.clear();
    RawClient client(world, client_loop, address);
    client.send(request + get("/next"));
    world.run_for(1s);
    ASSERT_EQ(handler.log.size(), 2u) << request;
    EXPECT_THAT(handler.log.front(), EndsWith(" /tunnel")) << request;
    EXPECT_THAT(client.received, StartsWith("HTTP/1.1 200 ")) << request;
  }
  RawClient client(world, client_loop, address);
  client.send("GET /tunnel HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  RawClient unnamed(world, client_loop, address);
  unnamed.send("GET /tunnel HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n");
  world.run_for(1s);
  EXPECT_THAT(client.received, StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(unnamed.received, StartsWith("HTTP/1.1 200 "));
}

// RFC 9112, section 11.2: after a framing error nothing on the connection can be trusted.
TEST_F(ServerConnectionTest, BrokenFramingIsAnsweredAndTheRestIgnored) {
  RawClient client(world, client_loop, address);
  client.send("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n" +
              get("/b"));
  world.run_for(5s);
  EXPECT_THAT(handler.log, ElementsAre("refused length_and_coding"));
  EXPECT_THAT(client.received, StartsWith("HTTP/1.1 400 "));
  EXPECT_EQ(count(client.received, "HTTP/1.1"), 1u);
  EXPECT_EQ(client.state, State::kEnded);
}

TEST_F(ServerConnectionTest, BadChunkIsRefused) {
  RawClient client(world, client_loop, address);
  client.send("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nZ\r\n");
  world.run_for(5s);
  EXPECT_THAT(handler.log, ElementsAre("POST /echo bad_chunk_size"));
  EXPECT_THAT(client.received, StartsWith("HTTP/1.1 400 "));
  EXPECT_EQ(client.state, State::kEnded);
}

TEST_F(ServerConnectionTest, ExceptionEndsOnlyItsConnection) {
  RawClient other(world, client_loop, address);
  RawClient client(world, client_loop, address);
  client.send(get("/throws"));
  world.run_for(1s);
  EXPECT_EQ(client.received, "");
  EXPECT_EQ(client.state, State::kReset);
  EXPECT_EQ(handler.open, 1);
  // It does not stay in the scope of all connections either, to come up when they are joined.
  EXPECT_THAT(handler.log, ElementsAre(""));
  other.send(get("/a"));
  world.run_for(1s);
  EXPECT_THAT(other.received, EndsWith("ok"));
}

// To an HTTP/1.0 client the end of the connection would be the end of the body (RFC 9112, section 6.3).
TEST_F(ServerConnectionTest, ExceptionAmidABodyIsAResetAndNotAnEnd) {
  RawClient client(world, client_loop, address);
  client.send(get10("/throws-late"));
  world.run_for(1s);
  EXPECT_THAT(client.received, EndsWith("looks whole"));
  EXPECT_EQ(client.state, State::kReset);
}

}  // namespace
}  // namespace sluice::http::h1::testing
