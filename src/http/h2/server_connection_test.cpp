#include "http/h2/server_connection.h"

#include <gmock/gmock.h>

#include "http/h2/frame_client.h"

namespace sluice::http::h2::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using State = h1::testing::RawClient::State;

class Http2ConnectionTest : public ServerTest {};

/// Bytes travel in pieces of any size: the same must come out.
class SplitHttp2ConnectionTest : public ServerTest {
 protected:
  SplitHttp2ConnectionTest() : ServerTest({.seed = 3, .pipe_bytes = 4000, .split_transfers = true}) {}
};
class Http1OnlyTest : public ServerTest {
 protected:
  Http1OnlyTest() : ServerTest({}, Codec::kHttp1) {}
};
class NegotiatedHttp2Test : public ServerTest {
 protected:
  NegotiatedHttp2Test() : ServerTest({}, Codec::kHttp2) {}
};

TEST_F(Http2ConnectionTest, AnswersARequest) {
  FrameClient client(world, client_loop, address);
  client.send(preface() + get(1, "/a"));
  world.run_for(1s);
  Answer& answer = client.answer(1);
  EXPECT_EQ(answer.status, "200");
  EXPECT_EQ(answer.fields["content-length"], "2");
  EXPECT_EQ(answer.fields["date"], "Thu, 01 Jan 2026 00:00:00 GMT");
  EXPECT_EQ(answer.body, "ok");
  EXPECT_TRUE(answer.ended);
  EXPECT_THAT(log, ElementsAre("GET /a"));
  EXPECT_EQ(handler.paths.active, 0);
  EXPECT_TRUE(client.open());
  EXPECT_EQ(client.settings[3], kMostStreams);
  EXPECT_EQ(client.settings[4], kStreamWindow);
  EXPECT_EQ(client.settings[6], handler.limits().request_head);
}

TEST_F(Http2ConnectionTest, ALaterRequestIsAnsweredBeforeASlowOne) {
  FrameClient client(world, client_loop, address);
  client.send(preface() + get(1, "/slow") + get(3, "/fast"));
  world.run_for(1s);
  EXPECT_TRUE(client.answer(3).ended);
  EXPECT_EQ(client.answer(1).status, "");
  EXPECT_EQ(handler.paths.active, 1);
  world.run_for(5s);
  EXPECT_TRUE(client.answer(1).ended);
  EXPECT_EQ(handler.paths.active, 0);
}

TEST_F(SplitHttp2ConnectionTest, EveryKindOfExchangeSurvivesSplitting) {
  FrameClient client(world, client_loop, address);
  client.send(preface() + window(0, 1 << 30) + frame(kSettings, 0, 0, number(4, 2) + number(1 << 30, 4)) +
              post(1, "/echo") + data(1, "hello ") + data(1, "world", true) + get(3, "/stream") +
              get(5, "/big") + get(7, "/informed"));
  world.run_for(10s);
  EXPECT_EQ(client.answer(1).body, "hello world");
  EXPECT_EQ(client.answer(3).body, "onethree");
  EXPECT_EQ(client.answer(5).body, std::string(1 << 20, 'x'));
  EXPECT_THAT(client.answer(7).interim, ElementsAre("103"));
  EXPECT_EQ(client.answer(7).status, "204");
  for (int32_t id : {1, 3, 5, 7}) EXPECT_TRUE(client.answer(id).ended) << id;
}

// RFC 9113, section 3.3: prior knowledge; whatever pieces the preface comes in.
TEST_F(Http2ConnectionTest, ThePrefaceIsRecognisedByteByByte) {
  FrameClient client(world, client_loop, address);
  for (char c : preface() + get(1, "/a")) {
    client.send(std::string(1, c));
    world.run_for(1ms);
  }
  world.run_for(1s);
  EXPECT_EQ(client.answer(1).body, "ok");
}

TEST_F(Http2ConnectionTest, Http1IsSpokenBesideIt) {
  h1::testing::RawClient client(world, client_loop, address);
  client.send("PUT / HTTP/1.1\r\nHost: a\r\n\r\nPROPFIND / HTTP/1.1\r\nHost: a\r\n\r\n");
  world.run_for(1s);
  EXPECT_THAT(log, ElementsAre("PUT /", "PROPFIND /"));
  client.send(preface());
  world.run_for(1s);
  EXPECT_THAT(client.received, HasSubstr("HTTP/1.1 505 ")) << "it comes first or not at all";
}

TEST_F(Http1OnlyTest, ThePrefaceIsRefused) {
  h1::testing::RawClient client(world, client_loop, address);
  client.send(preface());
  world.run_for(1s);
  EXPECT_THAT(client.received, HasSubstr("HTTP/1.1 505 "));
}

// Neither HTTP/1 nor HTTP/2: an answer in either would not be understood.
TEST_F(Http2ConnectionTest, AForeignProtocolIsNotAnswered) {
  h1::testing::RawClient client(world, client_loop, address);
  client.send("INVALID CONNECTION PREFACE\r\n\r\n");
  world.run_for(3s);
  EXPECT_EQ(client.received, "");
  EXPECT_EQ(client.state, State::kEnded);
  EXPECT_THAT(log, ElementsAre("refused bad_start_line"));
}

TEST_F(NegotiatedHttp2Test, ABadPrefaceIsAProtocolError) {
  FrameClient client(world, client_loop, address);
  client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  world.run_for(3s);
  EXPECT_EQ(client.goaway(), 1u);
  EXPECT_FALSE(client.open());
}

TEST_F(Http2ConnectionTest, HeadAndEmptyAnswersHaveNoData) {
  FrameClient client(world, client_loop, address);
  FieldList head = get_fields("/a");
  head[0].second = "HEAD";
  client.send(preface() + headers(1, head) + get(3, "/informed"));
  world.run_for(1s);
  EXPECT_EQ(client.answer(1).fields["content-length"], "2");
  EXPECT_EQ(client.answer(1).body, "");
  EXPECT_TRUE(client.answer(1).ended);
  EXPECT_TRUE(client.answer(3).ended);
  EXPECT_EQ(client.answer(3).fields.count("content-length"), 0u);
  EXPECT_EQ(client.count(kData), 0u);
}

// RFC 9113, section 8.1.1: nobody may take a body that broke off for whole.
TEST_F(Http2ConnectionTest, ABodyThatBreaksOffIsAReset) {
  struct Case {
    std::string path;
    std::string body;
  };
  for (const Case& each : {Case{"/breaks", "onethree"},
                           {"/short", "four"},
                           {"/long", ""},
                           {"/short-bytes", ""},
                           {"/no-bytes", ""},
                           {"/throws-late", "looks whole"},
                           {"/throws", ""}}) {
    FrameClient client(world, client_loop, address);
    client.send(preface() + get(1, each.path) + get(3, "/a"));
    world.run_for(1s);
    EXPECT_EQ(client.answer(1).reset, 2u) << each.path;
    EXPECT_EQ(client.answer(1).body, each.body) << each.path;
    EXPECT_FALSE(client.answer(1).ended) << each.path;
    EXPECT_EQ(client.answer(3).body, "ok") << "the others go on";
  }
}

TEST_F(Http2ConnectionTest, AClientThatTakesItsRequestBackCancelsItAlone) {
  FrameClient client(world, client_loop, address);
  client.send(preface() + get(1, "/slow") + get(3, "/slow"));
  world.run_for(1s);
  client.send(reset(1));
  world.run_for(1s);
  EXPECT_EQ(log[0], "GET /slow cancelled client-failed");
  EXPECT_EQ(log[1], "");
  world.run_for(5s);
  EXPECT_EQ(log[1], "GET /slow");
  EXPECT_TRUE(client.answer(3).ended);
}

TEST_F(Http2ConnectionTest, ARequestThatIsTakenBackAtOnceIsNeverBegun) {
  FrameClient client(world, client_loop, address);
  client.send(preface() + get(1, "/slow") + reset(1) + get(3, "/a"));
  world.run_for(1s);
  EXPECT_THAT(log, ElementsAre("GET /a"));
}

TEST_F(Http2ConnectionTest, AVanishedClientCancelsAllItsRequests) {
  FrameClient client(world, client_loop, address);
  client.send(preface() + get(1, "/slow") + get(3, "/slow"));
  world.run_for(1s);
  client.raw().vanish();
  world.run_for(1s);
  EXPECT_THAT(log, ElementsAre("GET /slow cancelled client-failed", "GET /slow cancelled client-failed"));
  EXPECT_EQ(handler.paths.open, 0);
  EXPECT_EQ(handler.released, 1);
}

// --- tunnels (RFC 8441) ---

FieldList connect_fields(std::string_view path) {
  FieldList fields = get_fields(path);
  fields[0].second = "CONNECT";
  fields.insert(fields.begin() + 1, {":protocol", "websocket"});
  return fields;
}

TEST_F(Http2ConnectionTest, AnExtendedConnectBecomesATunnel) {
  FrameClient client(world, client_loop, address);
  client.send(preface() + headers(1, connect_fields("/tunnel"), false) + data(1, "first "));
  world.run_for(1s);
  EXPECT_EQ(client.answer(1).status, "200");
  EXPECT_EQ(client.settings[8], 1u) << "SETTINGS_ENABLE_CONNECT_PROTOCOL";
  EXPECT_EQ(client.answer(1).body, "first ");
  std::string large(100'000, 't');
  std::string all = window(0, 1 << 20) + window(1, 1 << 20);
  for (size_t at = 0; at < large.size(); at += 16384) all += data(1, large.substr(at, 16384));
  client.send(all);
  world.run_for(1min);  // no timeout of the exchange bounds it
  EXPECT_EQ(client.answer(1).body, "first " + large);
  EXPECT_FALSE(handler.paths.tunnel_ended);
  client.send(data(1, "", true));
  world.run_for(1s);
  EXPECT_TRUE(handler.paths.tunnel_ended);
  EXPECT_THAT(log, ElementsAre("GET /tunnel to websocket"));
  EXPECT_EQ(handler.paths.active, 0);
}

TEST_F(Http2ConnectionTest, ATunnelEndsWithItsStreamOrItsConnection) {
  for (bool whole : {false, true}) {
    handler.paths.tunnel_ended = false;
    FrameClient client(world, client_loop, address);
    client.send(preface() + headers(1, connect_fields("/tunnel"), false) + data(1, "x"));
    world.run_for(1s);
    if (whole)
      client.raw().vanish();
    else
      client.send(reset(1));
    world.run_for(1s);
    EXPECT_TRUE(handler.paths.tunnel_ended);
    EXPECT_EQ(handler.paths.active, 0);
  }
}

TEST_F(Http2ConnectionTest, AnExtendedConnectMayBeAnsweredAsAnyRequest) {
  FrameClient client(world, client_loop, address);
  client.send(preface() + headers(1, connect_fields("/a"), false));
  world.run_for(100ms);
  EXPECT_EQ(client.answer(1).body, "ok");
  EXPECT_TRUE(client.answer(1).ended);
}

// --- bodies and windows ---

TEST_F(Http2ConnectionTest, WindowsAreGivenBackAsABodyIsRead) {
  FrameClient client(world, client_loop, address);
  std::string bytes(16384, 'b');
  std::string all = preface() + post(1, "/echo");
  for (int i = 0; i < 8; ++i) all += data(1, bytes);
  client.send(all);
  world.run_for(1s);
  EXPECT_GE(client.raised(1), uint64_t{kStreamWindow} / 2);
  client.send(data(1, bytes, true) + window(1, 1 << 20) + window(0, 1 << 20));
  world.run_for(1s);
  EXPECT_EQ(client.answer(1).body.size(), 9 * bytes.size());
}

TEST_F(Http2ConnectionTest, ABodyThatNobodyReadsGetsNoWindow) {
  FrameClient client(world, client_loop, address);
  std::string all = preface() + post(1, "/slow");
  for (uint32_t sent = 0; sent < kStreamWindow; sent += 16384) all += data(1, std::string(16384, 'b'));
  client.send(all);
  world.run_for(2s);
  EXPECT_EQ(client.raised(1), 0u);
  client.send(data(1, "one byte more"));
  world.run_for(1s);
  EXPECT_TRUE(client.answer(1).reset == 3 || client.goaway() == 3) << "FLOW_CONTROL_ERROR, RFC 9113, 6.9.1";
}

TEST_F(Http2ConnectionTest, AnAnsweredRequestMayEndWithinAWhile) {
  FrameClient client(world, client_loop, address);
  client.send(preface() + post(1, "/a"));
  world.run_for(500ms);
  EXPECT_TRUE(client.answer(1).ended);
  client.send(data(1, "late", true) + post(3, "/a"));
  world.run_for(3s);
  EXPECT_EQ(client.answer(1).reset, kNoCode);
  EXPECT_EQ(client.answer(3).reset, 0u) << "NO_ERROR, RFC 9113, section 8.1";
  EXPECT_THAT(handler.limits_hit, ElementsAre("request_rest"));
  client.send(data(3, "what was on its way is no fault") + get(5, "/a"));
  world.run_for(1s);
  EXPECT_TRUE(client.answer(5).ended);
}

// A client that opens streams and gives no window (window stall) holds nothing for long.
TEST_F(Http2ConnectionTest, AClientThatTakesNothingIsGivenUp) {
  FrameClient client(world, client_loop, address);
  client.send(preface() + get(1, "/big"));
  world.run_for(5s);
  EXPECT_EQ(client.answer(1).body.size(), 65535u) << "the window that every stream begins with";
  world.run_for(20s);
  EXPECT_EQ(client.answer(1).reset, 2u);
  EXPECT_THAT(log, ElementsAre("GET /big client-failed"));
  EXPECT_TRUE(client.open()) << "another stream might still be useful";
}

TEST_F(Http2ConnectionTest, OtherStreamsDoNotKeepAStalledOneAlive) {
  FrameClient client(world, client_loop, address);
  client.send(preface() + get(1, "/big") + window(0, 1 << 30));
  for (int i = 0; i < 25; ++i) {
    client.send(get(3 + 2 * i, "/a"));
    world.run_for(1s);
  }
  EXPECT_EQ(client.answer(1).reset, 2u);
}

TEST_F(Http2ConnectionTest, AClientThatDoesNotReadIsGivenUp) {
  FrameClient client(world, client_loop, address, false);
  client.send(preface() + window(0, 1 << 30) + frame(kSettings, 0, 0, number(4, 2) + number(1 << 30, 4)) +
              get(1, "/big") + get(3, "/big"));
  world.run_for(40s);
  EXPECT_THAT(log, ElementsAre("GET /big client-failed", "GET /big client-failed"));
  EXPECT_EQ(handler.paths.open, 0);
}

TEST_F(Http2ConnectionTest, AnUploadThatStopsIsAnsweredWith408) {
  FrameClient client(world, client_loop, address);
  client.send(preface() + post(1, "/upload") + data(1, "some"));
  world.run_for(30s);
  EXPECT_EQ(client.answer(1).status, "408");
  EXPECT_THAT(log, ElementsAre("POST /upload cancelled upload"));
}

// --- the connection's own time ---

TEST_F(Http2ConnectionTest, AnIdleConnectionEndsAfterTheKeepAliveTime) {
  FrameClient client(world, client_loop, address);
  client.send(preface() + get(1, "/a"));
  for (int i = 0; i < 7; ++i) {
    world.run_for(10s);
    client.send(frame(kPing, 0, 0, "12345678"));  // pings do not keep it
  }
  EXPECT_TRUE(client.open());
  world.run_for(10s);
  EXPECT_EQ(client.goaway(), 0u);
  EXPECT_EQ(client.goaway_last, 1);
  EXPECT_FALSE(client.open());
}

TEST_F(Http2ConnectionTest, AHeadThatDoesNotEndIsNotAwaitedForEver) {
  FrameClient client(world, client_loop, address);
  client.send(preface() + frame(kHeaders, kEndStream, 1, block(get_fields("/a"))));
  world.run_for(9s);
  EXPECT_TRUE(client.open());
  world.run_for(4s);
  EXPECT_FALSE(client.open());
  EXPECT_THAT(log, IsEmpty());
}

TEST_F(Http2ConnectionTest, APrefaceThatDoesNotEndIsNotAwaitedForEver) {
  FrameClient client(world, client_loop, address);
  client.send(std::string(kMagic));
  world.run_for(13s);
  EXPECT_FALSE(client.open());
}

// As with HTTP/1: a client whose request was shed is left alone for a while.
TEST_F(Http2ConnectionTest, ARestKeepsTheNextRequestWaiting) {
  FrameClient client(world, client_loop, address);
  client.send(preface() + get(1, "/rest"));
  world.run_for(100ms);
  EXPECT_EQ(client.answer(1).body, "ok");
  client.send(get(3, "/a"));
  world.run_for(300ms);
  EXPECT_EQ(client.answer(3).status, "");
  world.run_for(300ms);
  EXPECT_EQ(client.answer(3).body, "ok");
  ASSERT_EQ(handler.queued.size(), 2u);
  EXPECT_GE(handler.queued[1].value_or(Duration::zero()), 300ms) << "its wait is known";
}

// RFC 9113, section 6.8: first that the end is near, then which requests are still answered.
TEST_F(Http2ConnectionTest, DrainAnswersWhatIsInHandAndSaysWhatIsNot) {
  FrameClient client(world, client_loop, address);
  client.send(preface() + get(1, "/slow"));
  world.run_for(1s);
  connections.for_each([](Connection& each) { each.drain(); });
  world.run_for(100ms);
  EXPECT_EQ(client.goaway(), 0u);
  EXPECT_EQ(client.goaway_last, INT32_MAX);
  ASSERT_EQ(client.count(kPing), 1u);
  client.send(get(3, "/on-its-way") + frame(kPing, kAck, 0, std::string(8, '\0')));
  world.run_for(100ms);
  EXPECT_EQ(client.answer(3).body, "ok");
  EXPECT_EQ(client.goaway(), 0u);
  EXPECT_EQ(client.goaway_last, 3);
  client.send(get(5, "/too-late"));
  world.run_for(6s);
  EXPECT_EQ(client.answer(1).body, "ok");
  EXPECT_THAT(log, ElementsAre("GET /slow", "GET /on-its-way"));
  EXPECT_FALSE(client.open());
}

TEST_F(Http2ConnectionTest, DrainEndsAnIdleConnectionWhoseClientSaysNothing) {
  FrameClient client(world, client_loop, address);
  client.send(preface());
  world.run_for(1s);
  connections.for_each([](Connection& each) { each.drain(); });
  world.run_for(2s);
  EXPECT_EQ(client.goaway(), 0u);
  EXPECT_FALSE(client.open());
}

TEST_F(Http2ConnectionTest, CancellingEndsEverythingAtOnce) {
  FrameClient client(world, client_loop, address);
  client.send(preface() + get(1, "/slow"));
  world.run_for(1s);
  connections.for_each([](Connection& each) { each.cancel(io::CancelReason::kShed); });
  world.run_for(1s);
  EXPECT_THAT(log, ElementsAre("GET /slow cancelled client-failed"));
  EXPECT_FALSE(client.open());
}

TEST_F(Http2ConnectionTest, AClientThatSaysGoodbyeIsLetGoWhenItIsAnswered) {
  FrameClient client(world, client_loop, address);
  client.send(preface() + get(1, "/slow") + frame(kGoaway, 0, 0, number(0, 8)));
  world.run_for(1s);
  EXPECT_TRUE(client.open());
  world.run_for(5s);
  EXPECT_EQ(client.answer(1).body, "ok");
  EXPECT_FALSE(client.open());
}

}  // namespace
}  // namespace sluice::http::h2::testing
