// Answers without an end, such as server-sent events: each piece passes as it comes, and who leaves ends it.
#include <fmt/format.h>

#include "handlers/handler_test_fixture.h"

namespace sluice::handlers::testing {
namespace {

constexpr std::string_view kHead =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

class StreamedAnswer : public HandlerTest {
 protected:
  /// A client that has asked, and an upstream that knows it.
  struct Pair {
    explicit Pair(StreamedAnswer& test)
        : upstream(test.world, test.upstream_loop, target(9000)),
          client(test.world, test.client_loop, test.address) {
      client.send(request("GET", "/events"));
      EXPECT_TRUE(upstream.await_heads(0, 1));
    }
    UpstreamPeer& server() { return upstream.peer(0); }
    bool sees(std::string_view end) const { return client.rest().ends_with(end); }

    ScriptedUpstream upstream;
    Client client;
  };
  void wait(Duration time = 1s) { world.run_for(time); }
  bool logged(std::string_view text) { return access_log().find(text) != std::string::npos; }
};

TEST_F(StreamedAnswer, EachPieceLeavesAsItComes) {
  start(proxying({9000}, {}, "policies: [ { headers: { response: { set: { x-a: b } } } } ]"));
  Pair pair(*this);
  pair.server().send(std::string(kHead));
  wait(1ms);
  EXPECT_TRUE(pair.sees("\r\n\r\n")) << "a head does not wait for its body";
  for (std::string_view piece : {"data: 1\n\n", ":", "\n\nid: 7\nda", "ta: x\n\n"}) {
    std::string chunk = fmt::format("{:x}\r\n{}\r\n", piece.size(), piece);
    pair.server().send(chunk);
    wait(1ms);
    EXPECT_TRUE(pair.sees(chunk)) << piece;
  }
}

// A closed connection and one that is closed in one direction look the same (RFC 9112, section 9.6): what
// tells them apart is when the end comes.
TEST_F(StreamedAnswer, AClientThatEndsWhileItStandsStillHasLeft) {
  start(proxying({9000}));
  Pair pair(*this);
  pair.server().send(std::string(kHead) + "3\r\n:\n\n\r\n");
  wait();
  pair.client.raw().end();
  wait(1ms);
  EXPECT_NE(pair.server().state, UpstreamPeer::State::kOpen);
  EXPECT_TRUE(pair.client.ended());
  EXPECT_TRUE(logged("\"status\":499,\"error_by\":\"client\""));
}

TEST_F(StreamedAnswer, AClientThatEndsWithItsRequestIsAnswered) {
  start(proxying({9000}));
  Pair pair(*this);
  pair.client.raw().end();
  wait();
  pair.server().send(std::string(kHead) + "3\r\n:\n\n\r\n");
  wait();
  pair.server().send("0\r\n\r\n");
  EXPECT_EQ(pair.client.await_answer().body, ":\n\n");
}

TEST_F(StreamedAnswer, AnEndDoesNotCutABodyOfKnownLength) {
  start(proxying({9000}));
  Pair pair(*this);
  pair.server().send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nfour");
  wait();
  pair.client.raw().end();
  wait();
  pair.server().send("more");
  EXPECT_EQ(pair.client.await_answer().body, "fourmore");
}

TEST_F(StreamedAnswer, SilenceHasABoundThatAnyByteExtends) {
  start(proxying({9000}));
  Pair pair(*this);
  pair.server().send(std::string(kHead));
  for (int i = 0; i < 10; ++i) {
    wait(4min);
    EXPECT_FALSE(pair.client.ended()) << i;
    pair.server().send("2\r\n:\n\r\n");
  }
  wait(11min);
  EXPECT_TRUE(pair.client.ended());
  EXPECT_FALSE(pair.sees("0\r\n\r\n")) << "a part does not pass for the whole";
  EXPECT_NE(pair.server().state, UpstreamPeer::State::kOpen);
  EXPECT_TRUE(logged("\"status\":200,\"error_by\":\"upstream\",\"error_code\":\"stream_idle\""));
}

TEST_F(StreamedAnswer, WhatADrainEndsIsNobodysFault) {
  start(proxying({9000}));
  Pair pair(*this);
  pair.server().send(std::string(kHead));
  wait();
  workers[0]->drain();
  wait();
  EXPECT_FALSE(pair.client.ended()) << "it has the drain's time";
  workers[0]->cancel_all(io::CancelReason::kDrain);
  wait();
  EXPECT_TRUE(pair.client.ended());
  EXPECT_TRUE(logged("\"status\":200,\"error_by\":\"gateway\",\"error_code\":\"drain\""));
}

}  // namespace
}  // namespace sluice::handlers::testing
