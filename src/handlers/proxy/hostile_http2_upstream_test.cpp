// What an upstream that speaks HTTP/2 must not be able to do.
#include "handlers/proxy/http2_upstream_fixture.h"
#include "http/h2/limits.h"

namespace sluice::handlers::testing {
namespace {

constexpr uint32_t kProtocolError = 1;
constexpr uint32_t kFlowControlError = 3;
constexpr uint32_t kEnhanceYourCalm = 11;

class HostileHttp2Upstream : public Http2UpstreamTest {
 protected:
  static std::string times(size_t count, const std::string& bytes) {
    std::string all;
    for (size_t i = 0; i < count; ++i) all += bytes;
    return all;
  }
  std::string limit_hits(const std::string& limit) {
    return metric("sluice_limit_hits_total{limit=\"" + limit + "\"}");
  }
};

// A flood ends the connection with ENHANCE_YOUR_CALM and is counted; what is below the bound passes.
TEST_F(HostileHttp2Upstream, FloodsAreBoundedAndCounted) {
  struct Case {
    std::string limit;
    std::string frames;
    uint32_t burst;
  };
  const Case cases[] = {
      {"http2_settings", h2::frame(h2::kSettings, 0, 0), http::h2::kSettingsFrames.burst - 5},
      {"http2_pings", h2::frame(h2::kPing, 0, 0, "12345678"), http::h2::kPings.burst},
      {"http2_priorities", h2::frame(h2::kPriority, 0, 1, h2::number(0, 4) + "a"),
       http::h2::kPriorities.burst},
      {"http2_window_updates", h2::window(1, 1), http::h2::kWindowUpdates.burst},
      {"http2_empty_frames", h2::data(1, ""), http::h2::kEmptyFrames.burst},
      {"http2_empty_frames", h2::frame(0xb7, 0, 1, "unknown type"), http::h2::kEmptyFrames.burst},
  };
  start_h2c("retry: { attempts: 1 }");
  size_t number = 0;
  for (const Case& each : cases) {
    gateway::testing::Client& client = request_on(number, request("GET", "/"));
    say(settings() + head(1, "200", false, {{"content-length", "1"}}), number);
    say(times(each.burst, each.frames), number);
    EXPECT_EQ(frames(number).goaway(), h2::kNoCode) << each.limit;
    EXPECT_FALSE(client.ended()) << each.limit;
    say(times(each.burst + 10, each.frames), number);
    world.run_for(1s);
    EXPECT_EQ(frames(number).goaway(), kEnhanceYourCalm) << each.limit;
    EXPECT_TRUE(client.ended()) << each.limit;
    EXPECT_NE(limit_hits(each.limit), "") << each.limit;
    EXPECT_EQ(upstream.peer(number).state, UpstreamPeer::State::kEnded);
    ++number;
  }
}

TEST_F(HostileHttp2Upstream, AContinuationFloodIsBounded) {
  start_h2c("retry: { attempts: 1 }");
  gateway::testing::Client& client = request_on(0, request("GET", "/"));
  say(settings());
  say(h2::frame(h2::kHeaders, 0, 1, h2::block({{":status", "200"}})) +
      times(20, h2::frame(h2::kContinuation, 0, 1, h2::block({{"a", "b"}}))));
  EXPECT_EQ(client.await_answer().status, 502);
  EXPECT_EQ(frames().goaway(), kEnhanceYourCalm);
  EXPECT_EQ(limit_hits("http2_continuations"), "1");
}

// One byte of a frame names a field of the table again: what is decoded is bounded, not what is sent.
TEST_F(HostileHttp2Upstream, AnHpackBombIsDefused) {
  std::string large = std::string("\x40\x01x\x7f\xa1\x1e", 6) + std::string(4000, 'y');  // into the table
  start_h2c("retry: { attempts: 1 }");
  gateway::testing::Client& first = request_on(0, request("GET", "/"));
  gateway::testing::Client& other = request_on(0, request("GET", "/"));
  say(settings());
  say(h2::frame(h2::kHeaders, h2::kEndHeaders | h2::kEndStream, 1,
                h2::block({{":status", "200"}}) + large + std::string(20, '\xbe')));
  Answer refused = first.await_answer();
  EXPECT_EQ(refused.status, 502);
  EXPECT_EQ(refused.code(), "upstream_protocol");
  say(answer(3, "ok"));
  EXPECT_EQ(other.await_answer().body, "ok") << "the connection goes on";
  gateway::testing::Client& third = request_on(0, request("GET", "/"));
  say(h2::frame(h2::kHeaders, h2::kEndHeaders | h2::kEndStream, 5,
                h2::block({{":status", "200"}}) + std::string(10000, '\xbe')));
  EXPECT_EQ(third.await_answer().status, 502);
  EXPECT_EQ(frames().goaway(), kEnhanceYourCalm);
  EXPECT_EQ(limit_hits("response_head"), "1");
}

TEST_F(HostileHttp2Upstream, InterimResponsesAreBounded) {
  start_h2c("retry: { attempts: 1 }");
  gateway::testing::Client& client = request_on(0, request("GET", "/"));
  say(settings());
  say(times(1000, head(1, "103")));
  EXPECT_EQ(client.await_answer().status, 502);
  gateway::testing::Client& other = request_on(0, request("GET", "/"));
  say(answer(3, "ok"));
  EXPECT_EQ(other.await_answer().body, "ok");
}

// RFC 9113, sections 8.1 to 8.3: malformed, each of them; the connection goes on.
TEST_F(HostileHttp2Upstream, MalformedAnswersAreReset) {
  const h2::FieldList cases[] = {
      {},
      {{"a", "b"}},
      {{":status", "200"}, {":status", "200"}},
      {{":status", "20"}},
      {{":status", "2000"}},
      {{":status", "abc"}},
      {{":status", "099"}},
      {{":status", "600"}},
      {{":status", "101"}},
      {{":status", "200"}, {":path", "/"}},
      {{":status", "200"}, {":unknown", "/"}},
      {{"a", "b"}, {":status", "200"}},
      {{":status", "200"}, {"Upper", "case"}},
      {{":status", "200"}, {"bad name", "x"}},
      {{":status", "200"}, {"", "x"}},
      {{":status", "200"}, {"a", "line\r\nfeed"}},
      {{":status", "200"}, {"a", std::string("n\0l", 3)}},
      {{":status", "200"}, {"a", " space"}},
      {{":status", "200"}, {"connection", "close"}},
      {{":status", "200"}, {"keep-alive", "1"}},
      {{":status", "200"}, {"proxy-connection", "close"}},
      {{":status", "200"}, {"transfer-encoding", "chunked"}},
      {{":status", "200"}, {"upgrade", "websocket"}},
      {{":status", "200"}, {"content-length", "-1"}},
      {{":status", "200"}, {"content-length", "1, 1"}},
      {{":status", "200"}, {"content-length", "1"}, {"content-length", "2"}},
      {{":status", "103"}},  // with END_STREAM
  };
  start_h2c("retry: { attempts: 1 }");
  int32_t stream = 1;
  size_t number = 0;
  for (const h2::FieldList& fields : cases) {
    gateway::testing::Client& client = request_on(0, request("GET", "/"));
    if (stream == 1) say(settings());
    say(h2::headers(stream, fields, /*end=*/true));
    Answer answer = client.await_answer();
    EXPECT_EQ(answer.status, 502) << number;
    EXPECT_EQ(answer.code(), "upstream_protocol") << number;
    EXPECT_EQ(frames().answer(stream).reset, kProtocolError) << number;
    EXPECT_EQ(upstream.connections(), 1u) << number;
    stream += 2;
    ++number;
  }
}

// RFC 9113, section 8.1.1.
TEST_F(HostileHttp2Upstream, ABodyOfAnotherLengthNeverPassesForWhole) {
  start_h2c("retry: { attempts: 1 }");
  for (const std::string& body : {h2::data(1, "five!", true), h2::data(1, "one", true)}) {
    size_t number = upstream.connections();
    gateway::testing::Client& client = request_on(number, request("GET", "/"));
    say(settings(), number);
    say(head(1, "200", false, {{"content-length", "4"}}) + body, number);
    world.run_for(1s);
    EXPECT_TRUE(client.ended());
    EXPECT_EQ(frames(number).answer(1).reset, kProtocolError);
    upstream.peer(number).close();
    world.run_for(10ms);
  }
}

TEST_F(HostileHttp2Upstream, AResetWithinTheBodyNeverPassesForWhole) {
  start_h2c();
  for (uint32_t code : {0u, 2u, 7u, 8u}) {
    gateway::testing::Client& client = request_on(0, request("GET", "/"));
    if (code == 0) say(settings());
    int32_t stream = frames().last_stream();
    say(head(stream, "200") + h2::data(stream, "half"));
    say(h2::reset(stream, code));
    world.run_for(1s);
    EXPECT_TRUE(client.ended()) << code;
    EXPECT_FALSE(client.raw().received.ends_with("0\r\n\r\n")) << code;
  }
  EXPECT_EQ(upstream.connections(), 1u);
}

TEST_F(HostileHttp2Upstream, PushesAreRefused) {
  start_h2c("retry: { attempts: 1 }");
  gateway::testing::Client& client = request_on(0, request("GET", "/"));
  say(settings());
  EXPECT_EQ(frames().settings[2], 0u) << "ENABLE_PUSH";
  say(h2::frame(h2::kPushPromise, h2::kEndHeaders, 1,
                h2::number(2, 4) + h2::block(h2::get_fields("/pushed"))));
  EXPECT_EQ(client.await_answer().status, 502);
  EXPECT_EQ(frames().goaway(), kProtocolError);
}

// RFC 9113, section 6.9.1.
TEST_F(HostileHttp2Upstream, MoreThanTheWindowIsNotTaken) {
  start_h2c("retry: { attempts: 1 }");
  gateway::testing::RawClient deaf(world, client_loop, address, /*reads=*/false);
  deaf.send(request("GET", "/large"));
  ASSERT_TRUE(upstream.await_connections(1));
  world.run_for(10ms);
  say(settings() + head(1, "200"));
  for (int i = 0; i < 2000 && frames().answer(1).reset == h2::kNoCode && frames().goaway() == h2::kNoCode;
       ++i)
    say(h2::data(1, std::string(16384, 'x')));
  EXPECT_TRUE(frames().answer(1).reset == kFlowControlError || frames().goaway() == kFlowControlError);
}

TEST_F(HostileHttp2Upstream, WindowsThatOverflowEndWhatTheyAreOf) {
  start_h2c("retry: { attempts: 1 }");
  gateway::testing::Client& client = request_on(0, request("GET", "/"));
  say(settings());
  say(h2::window(1, INT32_MAX));
  EXPECT_EQ(client.await_answer().status, 502);
  EXPECT_EQ(frames().answer(1).reset, kFlowControlError);
  gateway::testing::Client& second = request_on(0, request("GET", "/"));
  say(h2::window(0, INT32_MAX));
  EXPECT_EQ(second.await_answer().status, 502);
  EXPECT_EQ(frames().goaway(), kFlowControlError);
}

TEST_F(HostileHttp2Upstream, TrailersAreBounded) {
  start_h2c("retry: { attempts: 1 }");
  gateway::testing::Client& client = request_on(0, request("GET", "/"));
  say(settings());
  say(head(1, "200") + h2::data(1, "x") + h2::headers(1, h2::FieldList(200, {"t", std::string(70, 'v')})));
  world.run_for(1s);
  EXPECT_TRUE(client.ended());
  gateway::testing::Client& other = request_on(0, request("GET", "/"));
  say(answer(3, "ok"));
  EXPECT_EQ(other.await_answer().body, "ok");
}

TEST_F(HostileHttp2Upstream, FramesThatBreakTheProtocolEndTheConnection) {
  const std::string cases[] = {
      h2::frame(h2::kSettings, 0, 1),
      h2::frame(h2::kSettings, 0, 0, "12345"),
      h2::frame(h2::kPing, 0, 0, "short"),
      h2::frame(h2::kPing, 0, 1, "12345678"),
      h2::frame(h2::kWindowUpdate, 0, 0, h2::number(0, 4)),
      h2::frame(h2::kRstStream, 0, 0, h2::number(8, 4)),
      h2::frame(h2::kContinuation, h2::kEndHeaders, 1, h2::block({{"a", "b"}})),
      h2::frame(h2::kHeaders, h2::kEndHeaders, 2, h2::block({{":status", "200"}})),
      h2::frame(h2::kHeaders, h2::kEndHeaders, 1, "\xff\xff\xff\xff\xff"),
      h2::frame(h2::kData, 0, 0, "x"),
      h2::number(1 << 20, 3) + std::string("\0\0\0\0\0\1", 6) + std::string(1000, 'x'),
  };
  start_h2c("retry: { attempts: 1 }");
  size_t number = 0;
  for (const std::string& bytes : cases) {
    gateway::testing::Client& client = request_on(number, request("GET", "/"));
    say(settings(), number);
    say(bytes, number);
    Answer answer = client.await_answer();
    EXPECT_EQ(answer.status, 502) << number;
    world.run_for(2s);
    EXPECT_NE(frames(number).goaway(), h2::kNoCode) << number;
    EXPECT_EQ(upstream.peer(number).state, UpstreamPeer::State::kEnded) << number;
    ++number;
  }
}

// An upstream that goes without a word: requests that time out do not go there again.
TEST_F(HostileHttp2Upstream, ASilentConnectionGetsNoMoreRequests) {
  start_h2c("timeouts: { response_head: 2s }, retry: { attempts: 1 }");
  gateway::testing::Client& first = request_on(0, request("GET", "/"));
  say(settings() + answer(1, "ok"));
  EXPECT_EQ(first.await_answer().body, "ok");
  EXPECT_EQ(request_on(0, request("GET", "/")).await_answer().status, 504);
  gateway::testing::Client& second = request_on(1, request("GET", "/"));
  say(settings() + answer(1, "ok"), 1);
  EXPECT_EQ(second.await_answer().body, "ok");
}

}  // namespace
}  // namespace sluice::handlers::testing
