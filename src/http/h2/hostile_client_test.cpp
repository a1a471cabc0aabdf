// What a client must not be able to do to an HTTP/2 connection, and what becomes of one that tries.
#include <gmock/gmock.h>

#include "http/h2/frame_client.h"
#include "http/h2/limits.h"

namespace sluice::http::h2::testing {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr uint32_t kProtocolError = 1;
constexpr uint32_t kStreamClosed = 5;
constexpr uint32_t kEnhanceYourCalm = 11;

class HostileHttp2Test : public ServerTest {
 protected:
  /// Sends it and waits for what becomes of that.
  void play(FrameClient& client, const std::string& bytes) {
    client.send(bytes);
    world.run_for(1s);
  }
  std::string times(size_t count, const std::string& bytes) {
    std::string all;
    for (size_t i = 0; i < count; ++i) all += bytes;
    return all;
  }
};

// A flood ends its connection with ENHANCE_YOUR_CALM and is counted; what is just below the bound passes.
TEST_F(HostileHttp2Test, FloodsAreBoundedAndCounted) {
  struct Case {
    std::string limit;
    std::string frames;
    uint32_t burst;
  };
  const Case cases[] = {
      {"http2_settings", frame(kSettings, 0, 0), kSettingsFrames.burst - 1},
      {"http2_pings", frame(kPing, 0, 0, "12345678"), kPings.burst},
      {"http2_priorities", frame(kPriority, 0, 1, number(0, 4) + "a"), kPriorities.burst},
      {"http2_window_updates", window(1, 1), kWindowUpdates.burst},
      {"http2_empty_frames", data(1, ""), kEmptyFrames.burst},
      {"http2_empty_frames", frame(0xb7, 0, 1, "unknown type"), kEmptyFrames.burst},
  };
  for (const Case& each : cases) {
    handler.limits_hit.clear();
    FrameClient client(world, client_loop, address);
    play(client, preface() + post(1, "/slow"));
    play(client, times(each.burst, each.frames));
    EXPECT_TRUE(client.open()) << each.limit;
    EXPECT_EQ(client.goaway(), kNoCode) << each.limit;
    play(client, times(each.burst, each.frames));
    EXPECT_EQ(client.goaway(), kEnhanceYourCalm) << each.limit;
    EXPECT_THAT(handler.limits_hit, ElementsAre(each.limit));
    world.run_for(3s);
    EXPECT_FALSE(client.open());
  }
  EXPECT_THAT(log, Each(std::string("POST /slow cancelled client-failed")));
}

// CVE-2023-44487: requests that are taken back as soon as they are made.
TEST_F(HostileHttp2Test, RapidResetIsBounded) {
  FrameClient client(world, client_loop, address);
  std::string flood = preface();
  for (int32_t i = 0; i < 1000; ++i) flood += get(2 * i + 1, "/slow") + reset(2 * i + 1);
  play(client, flood);
  EXPECT_EQ(client.goaway(), kEnhanceYourCalm);
  EXPECT_THAT(handler.limits_hit, ElementsAre("http2_resets"));
}

TEST_F(HostileHttp2Test, RapidResetOfRequestsThatHaveBegunIsBounded) {
  FrameClient client(world, client_loop, address);
  play(client, preface());
  for (int32_t i = 0; i < 300 && client.open(); ++i) {
    client.send(get(2 * i + 1, "/slow"));
    world.run_for(1ms);
    client.send(reset(2 * i + 1));
    world.run_for(1ms);
  }
  world.run_for(3s);
  EXPECT_EQ(client.goaway(), kEnhanceYourCalm);
  EXPECT_LE(log.size(), kResets.burst + 40);
  EXPECT_THAT(log, Each(std::string("GET /slow cancelled client-failed")));
}

// CVE-2025-8671: requests that the server is made to reset, by frames that break the protocol on them.
TEST_F(HostileHttp2Test, ResetsThatTheClientBringsAboutCountToo) {
  FrameClient client(world, client_loop, address);
  play(client, preface());
  for (int32_t i = 0; i < 300 && client.open(); ++i) {
    client.send(headers(2 * i + 1, {{"no", "pseudo fields"}}));
    world.run_for(1ms);
  }
  world.run_for(3s);
  EXPECT_EQ(client.goaway(), kEnhanceYourCalm);
  EXPECT_THAT(handler.limits_hit, ElementsAre("http2_resets"));
}

TEST_F(HostileHttp2Test, AnsweredRequestsEarnResets) {
  FrameClient client(world, client_loop, address);
  play(client, preface());
  for (int32_t i = 0; i < 1000; ++i) {
    client.send(get(4 * i + 1, "/a") + get(4 * i + 3, "/slow"));
    world.run_for(1ms);
    client.send(reset(4 * i + 3));
    world.run_for(1ms);
  }
  EXPECT_TRUE(client.open());
  EXPECT_EQ(client.goaway(), kNoCode);
}

TEST_F(HostileHttp2Test, ContinuationFloodIsBounded) {
  FrameClient client(world, client_loop, address);
  std::string flood = preface() + frame(kHeaders, kEndStream, 1, block(get_fields("/a")));
  play(client, flood + times(20, frame(kContinuation, 0, 1, block({{"a", "b"}}))));
  EXPECT_EQ(client.goaway(), kEnhanceYourCalm);
  EXPECT_THAT(handler.limits_hit, ElementsAre("http2_continuations"));
}

TEST_F(HostileHttp2Test, AHeadMayComeInSeveralFrames) {
  FrameClient client(world, client_loop, address);
  std::string head = preface() + frame(kHeaders, kEndStream, 1, block(get_fields("/a")));
  for (uint32_t i = 1; i < kMostContinuations; ++i) head += frame(kContinuation, 0, 1, block({{"a", "b"}}));
  play(client, head + frame(kContinuation, kEndHeaders, 1));
  EXPECT_EQ(client.answer(1).body, "ok");
}

// One byte of a frame names a field of the table again: what is decoded is bounded, not what is sent.
TEST_F(HostileHttp2Test, AnHpackBombIsDefused) {
  std::string large = std::string("\x40\x01x\x7f\xa1\x1e", 6) + std::string(4000, 'y');  // into the table
  FrameClient client(world, client_loop, address);
  play(client, preface() + headers(1, get_fields("/a")) +
                   frame(kHeaders, kEndHeaders | kEndStream, 3,
                         block(get_fields("/a")) + large + std::string(10, '\xbe')));
  EXPECT_EQ(client.answer(1).body, "ok");
  EXPECT_EQ(client.answer(3).status, "431");
  EXPECT_THAT(log, Contains("refused head_too_large"));
  play(client,
       frame(kHeaders, kEndHeaders | kEndStream, 5, block(get_fields("/a")) + std::string(10000, '\xbe')));
  EXPECT_EQ(client.goaway(), kEnhanceYourCalm);
  EXPECT_THAT(handler.limits_hit, ElementsAre("request_head"));
}

TEST_F(HostileHttp2Test, MoreRequestsAtOnceThanAllowedAreNotBegun) {
  FrameClient client(world, client_loop, address);
  std::string flood = std::string(kMagic) + frame(kSettings, 0, 0);
  for (int32_t i = 0; i <= static_cast<int32_t>(kMostStreams); ++i) flood += get(2 * i + 1, "/slow");
  play(client, flood);
  EXPECT_EQ(client.answer(2 * kMostStreams + 1).reset, 7u) << "REFUSED_STREAM: it may be sent again";
  EXPECT_EQ(log.size(), kMostStreams);
  EXPECT_THAT(handler.limits_hit, ElementsAre("http2_streams"));
  world.run_for(5s);
  EXPECT_TRUE(client.answer(1).ended);
}

TEST_F(HostileHttp2Test, AnswersThatAreNotReadDoNotPileUp) {
  FrameClient client(world, client_loop, address, false);
  std::string flood = std::string(kMagic) + frame(kSettings, 0, 0);
  for (int32_t i = 0; i < 3000; ++i) flood += get(2 * i + 1, "/slow");
  play(client, flood);
  EXPECT_THAT(handler.limits_hit, Contains("http2_resets"));
  world.run_for(40s);
  EXPECT_EQ(handler.paths.open, 0);
}

TEST_F(HostileHttp2Test, RefusalsThatCannotBeSentAreBounded) {
  FrameClient client(world, client_loop, address, false);
  play(client, std::string(kMagic) + frame(kSettings, 0, 0, number(4, 2) + number(1 << 30, 4)) +
                   window(0, 1 << 30) + get(1, "/big"));  // fills what the network holds
  std::string flood;
  for (int32_t i = 1; i < 1500; ++i) flood += get(2 * i + 1, "/slow");
  play(client, flood);
  EXPECT_THAT(handler.limits_hit, Contains("http2_unread"));
  world.run_for(40s);
  EXPECT_EQ(handler.paths.open, 0);
}

// RFC 9113, section 5.1: what has ended does not go on.
TEST_F(HostileHttp2Test, FramesOnEndedRequestsEndTheConnection) {
  struct Case {
    std::string first;
    std::string then;
  };
  const Case cases[] = {
      {get(1, "/a"), data(1, "more")},
      {get(1, "/a"), headers(1, get_fields("/a"))},
      {get(1, "/a") + get(5, "/a"), headers(3, get_fields("/a"))},
      {post(1, "/slow") + reset(1), data(1, "more")},
      {post(1, "/slow") + reset(1), headers(1, {{"trailer", "late"}})},
  };
  for (const Case& each : cases) {
    FrameClient client(world, client_loop, address);
    play(client, preface() + each.first);
    play(client, each.then);
    EXPECT_EQ(client.goaway(), kStreamClosed);
    world.run_for(3s);
    EXPECT_FALSE(client.open());
  }
}

// RFC 9113, sections 8.1 to 8.3: malformed, each of them.
TEST_F(HostileHttp2Test, MalformedRequestsAreResetAndLogged) {
  FieldList plain = get_fields("/a");
  auto with = [&plain](const std::string& name, const std::string& value) {
    FieldList fields = plain;
    fields.emplace_back(name, value);
    return fields;
  };
  auto without = [&plain](size_t index) {
    FieldList fields = plain;
    fields.erase(fields.begin() + static_cast<std::ptrdiff_t>(index));
    return fields;
  };
  const FieldList cases[] = {
      with("Upper", "case"),
      with("bad name", "x"),
      with("", "no name"),
      with("a", "line\r\nfeed"),
      with("a", std::string("n\0l", 3)),
      with("a", " space"),
      with("a", "space "),
      with("connection", "close"),
      with("connection", "x-own"),
      with("keep-alive", "1"),
      with("proxy-connection", "close"),
      with("transfer-encoding", "chunked"),
      with("upgrade", "websocket"),
      with("te", "gzip"),
      with("te", "trailers, deflate"),
      with(":path", "/b"),
      with(":status", "200"),
      with(":unknown", "x"),
      with("content-length", "1"),
      with("content-length", "-1"),
      with("content-length", "1, 1"),
      {{":method", "GET"}, {":scheme", "http"}, {"a", "b"}, {":path", "/a"}, {":authority", "a.test"}},
      {{":method", "CONNECT"}, {":authority", "a.test:1"}, {":path", "/"}, {":scheme", "http"}},
      {{":method", "GET"},
       {":authority", "a.test:1"},
       {":path", "/"},
       {":scheme", "http"},
       {":protocol", "websocket"}},
      {{":method", "GET"}, {":scheme", "http"}, {":path", ""}, {":authority", "a.test"}},
      {{":method", "GET"}, {":scheme", "http"}, {":path", "a"}, {":authority", "a.test"}},
      {{":method", "GET"}, {":scheme", "http"}, {":path", "*"}, {":authority", "a.test"}},
      {{":method", "G T"}, {":scheme", "http"}, {":path", "/"}, {":authority", "a.test"}},
      without(0),
      without(1),
      without(2),
      without(3),
  };
  size_t number = 0;
  for (const FieldList& fields : cases) {
    FrameClient client(world, client_loop, address);
    log.clear();
    play(client, preface() + headers(1, fields) + get(3, "/b"));
    EXPECT_EQ(client.answer(1).reset, kProtocolError) << number;
    EXPECT_EQ(client.answer(1).status, "") << number;
    EXPECT_THAT(log, ElementsAre("refused malformed_request", "GET /b")) << number;
    ++number;
  }
}

// RFC 9113, section 8.1.1: a body has the length that was announced.
TEST_F(HostileHttp2Test, ABodyOfAnotherLengthIsMalformed) {
  FieldList fields = get_fields("/echo");
  fields.emplace_back("content-length", "4");
  FrameClient client(world, client_loop, address);
  play(client, preface() + headers(1, fields, false) + data(1, "five!", true) + headers(3, fields, false) +
                   data(3, "one", true) + headers(5, fields, false) + data(5, "four", true));
  EXPECT_EQ(client.answer(1).reset, kProtocolError);
  EXPECT_EQ(client.answer(3).reset, kProtocolError);
  EXPECT_EQ(client.answer(5).body, "four");
}

TEST_F(HostileHttp2Test, TrailersMustEndTheRequestAndHaveBounds) {
  FrameClient client(world, client_loop, address);
  FieldList many(150, {"a-trailer", "x"});
  play(client, preface() + post(1, "/echo") + headers(1, {{"t", "v"}}, false) + post(3, "/echo") +
                   headers(3, {{":path", "/"}}) + post(5, "/echo") + headers(5, many) + post(7, "/echo") +
                   data(7, "x") + headers(7, {{"t", "v"}}));
  EXPECT_EQ(client.answer(1).reset, kProtocolError);
  EXPECT_EQ(client.answer(3).reset, kProtocolError);
  EXPECT_EQ(client.answer(5).status, "431");
  EXPECT_EQ(client.answer(7).body, "x");
}

}  // namespace
}  // namespace sluice::http::h2::testing
