#include "http/h1/message_writer.h"

#include <gtest/gtest.h>

#include "http/h1/response_reader.h"
#include "http/h1/server_fixture.h"
#include "http/h1/stream_body.h"

namespace sluice::http::h1::testing {
namespace {

/// One message through a connection that splits it at will: written on one side, read on the other.
class TransferTest : public ::testing::Test {
 protected:
  TransferTest() { reconnect(); }
  ~TransferTest() override {
    world.run();
    EXPECT_EQ(scope.active(), 0u);
  }

  void reconnect() {
    io::CancelToken token;
    scope.spawn(accept());
    scope.spawn(connect(token));
    world.run();
  }
  io::Task<> accept() {
    auto stream = co_await (*listener)->accept();
    source = std::move(*stream);
  }
  io::Task<> connect(io::CancelToken& token) {
    auto stream = co_await loop.connect((*listener)->address(), token);
    sink = std::move(*stream);
  }
  io::Task<> write(std::string_view head, OutgoingFraming framing, Body body) {
    TransferWatch watch({}, sink.get());
    written = co_await write_message(loop, *sink, head, framing, body, watch, arena);
    if (written.outcome == WriteResult::Outcome::kComplete)
      sink->shutdown_write();
    else
      sink->abort();
    sink.reset();
  }
  io::Task<> read_body(Framing framing, uint64_t length, uint64_t limit) {
    StreamBody body(*source, Side::kResponse, framing, length, limits, arena);
    body.limit(limit);
    for (;;) {
      auto chunk = co_await body.read();
      if (!chunk) {
        error = chunk.error().code;
        break;
      }
      text.append(chunk->bytes);
      if (!chunk->end) continue;
      EXPECT_TRUE(body.done());
      if (chunk->trailers) trailer = chunk->trailers->find("x-sum")->value;
      break;
    }
    received = body.bytes_received();
  }
  io::Task<> read_response() {
    Response response(arena);
    ResponseHead head;
    auto read = co_await read_response_head(*source, Method::kGet, limits, arena, response, head);
    if (!read) {
      error = read.error().code;
      co_return;
    }
    status = response.status;
    co_await read_body(head.framing, response.body.bytes, UINT64_MAX);
  }

  io::SimWorld world{{.seed = 5, .pipe_bytes = 500, .split_transfers = true}};
  io::SimLoop& loop = world.add_loop();
  io::Result<std::unique_ptr<io::Listener>> listener = loop.listen(io::Address::loopback(0), {});
  io::TaskScope scope;
  std::unique_ptr<io::Stream> source;
  std::unique_ptr<io::Stream> sink;
  Arena arena;
  Limits limits;
  WriteResult written;
  std::string text;
  std::string_view trailer;
  std::string_view error;
  uint64_t received = 0;
  int status = 0;
};

TEST_F(TransferTest, EveryFramingBringsTheBodyThrough) {
  const std::string big(3000, 'z');
  for (bool streamed : {false, true}) {
    for (Framing framing : {Framing::kLength, Framing::kChunked, Framing::kUntilClose}) {
      PieceBody pieces(loop, {"a", big});
      std::string whole = "a" + big;
      text.clear();
      error = {};
      scope.spawn(write("", {framing, whole.size()}, streamed ? Body::of(pieces) : Body::of(whole)));
      scope.spawn(read_body(framing, whole.size(), UINT64_MAX));
      world.run();
      EXPECT_EQ(text, whole);
      EXPECT_EQ(received, whole.size());
      EXPECT_EQ(error, "");
      reconnect();
    }
  }
}

// RFC 9112, section 7.1.2.
TEST_F(TransferTest, TrailersComeWithTheEnd) {
  PieceBody pieces(loop, {"abc"});
  Fields trailers(arena);
  trailers.add("X-Sum", "7");
  pieces.trailers = &trailers;
  scope.spawn(write("", {Framing::kChunked}, Body::of(pieces)));
  scope.spawn(read_body(Framing::kChunked, 0, UINT64_MAX));
  world.run();
  EXPECT_EQ(text, "abc");
  EXPECT_EQ(trailer, "7");
}

TEST_F(TransferTest, HeadDoesNotWaitForItsBody) {
  PieceBody pieces(loop, {"abc"});
  scope.spawn(write("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", {Framing::kLength, 3}, Body::of(pieces)));
  EXPECT_GT(sink->bytes_written(), 0u) << "the body comes a turn later";
  scope.spawn(read_response());
  world.run();
  EXPECT_TRUE(written.anything_written);
  EXPECT_EQ(status, 200);
  EXPECT_EQ(text, "abc");
}

TEST_F(TransferTest, SourceOfAnotherLengthFailsAndSaysSo) {
  for (uint64_t announced : {2, 4}) {
    PieceBody pieces(loop, {"abc"});
    scope.spawn(write("", {Framing::kLength, announced}, Body::of(pieces)));
    world.run();
    EXPECT_EQ(written.outcome, WriteResult::Outcome::kSourceFailed) << announced;
    EXPECT_EQ(written.source_error.code, "wrong_length") << announced;
    reconnect();
  }
}

TEST_F(TransferTest, SinkThatIsGoneIsTheSinksFault) {
  source->abort();
  source.reset();
  std::string big(3000, 'z');
  scope.spawn(write("", {Framing::kLength, big.size()}, Body::of(big)));
  world.run();
  EXPECT_EQ(written.outcome, WriteResult::Outcome::kSinkFailed);
  EXPECT_EQ(written.sink_error.code, io::ErrorCode::kReset);
}

// RFC 9112, section 8: an end before the announced one makes the message incomplete.
TEST_F(TransferTest, EndBeforeTheBodysEndIsTruncation) {
  for (Framing framing : {Framing::kLength, Framing::kChunked}) {
    error = {};
    scope.spawn(write("1\r\n", {}, Body::none()));
    scope.spawn(read_body(framing, 10, UINT64_MAX));
    world.run();
    EXPECT_EQ(error, "upstream_truncated");
    reconnect();
  }
}

TEST_F(TransferTest, ResetIsNotTheEndOfABodyUntilClose) {
  PieceBody pieces(loop, {"abc"}, true);
  scope.spawn(write("", {Framing::kUntilClose}, Body::of(pieces)));
  scope.spawn(read_body(Framing::kUntilClose, 0, UINT64_MAX));
  world.run();
  EXPECT_EQ(error, "upstream_reset");
}

TEST_F(TransferTest, BodyBeyondItsLimitIsTooLarge) {
  std::string big(300, 'z');
  scope.spawn(write("", {Framing::kChunked}, Body::of(big)));
  scope.spawn(read_body(Framing::kChunked, 0, 299));
  world.run();
  EXPECT_EQ(error, "request_too_large");
}

TEST_F(TransferTest, BytesBehindTheBodyStayOnTheStream) {
  scope.spawn(write("abcHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nde", {}, Body::none()));
  scope.spawn(read_body(Framing::kLength, 3, UINT64_MAX));
  world.run();
  EXPECT_EQ(text, "abc");
  scope.spawn(read_response());
  world.run();
  EXPECT_EQ(status, 200);
  EXPECT_EQ(text, "abcde");
}

// RFC 9112, section 8: a head that breaks off is no message.
TEST_F(TransferTest, EndWithinAResponseHead) {
  scope.spawn(write("HTTP/1.1 200 OK\r\nConte", {}, Body::none()));
  scope.spawn(read_response());
  world.run();
  EXPECT_EQ(error, "upstream_truncated");
}

TEST_F(TransferTest, EndBeforeAResponseHeadIsAReset) {
  scope.spawn(write("", {}, Body::none()));
  scope.spawn(read_response());
  world.run();
  EXPECT_EQ(error, "upstream_reset");
}

}  // namespace
}  // namespace sluice::http::h1::testing
