#include "http/h1/response_parser.h"

#include <gtest/gtest.h>

namespace sluice::http::h1 {
namespace {

struct Parsed {
  Arena arena;
  Response response{arena};
  ResponseHead head;
  std::optional<Error> error;
};

std::unique_ptr<Parsed> parse(std::string_view head, Method method = Method::kGet,
                              const Limits& limits = {}) {
  auto parsed = std::make_unique<Parsed>();
  auto result = parse_response(parsed->arena.copy(head), method, limits, parsed->response);
  if (result) {
    parsed->head = *result;
  } else {
    parsed->error = result.error();
  }
  return parsed;
}

// RFC 9112, section 4.
TEST(ResponseParser, StatusLine) {
  auto p = parse("HTTP/1.1 404 Not \xe9 here\r\nContent-Length: 0\r\n\r\n");
  ASSERT_FALSE(p->error);
  EXPECT_EQ(p->response.status, 404);
  EXPECT_EQ(p->response.reason, "Not \xe9 here");
  EXPECT_EQ(parse("HTTP/1.1 200 \r\n\r\n")->response.reason, "");
  EXPECT_FALSE(parse("HTTP/1.1 200\r\n\r\n")->error);
  EXPECT_EQ(parse("HTTP/1.0 599 x\r\n\r\n")->response.version, Version::kHttp10);
  for (std::string_view line : {"HTTP/1.1 20 OK", "HTTP/1.1 099 X", "HTTP/1.1 600 X", "HTTP/1.1 2000 OK",
                                "HTTP/1.1  200 OK", "HTTP/1.1 200OK", "HTTP/2 200 OK", "HTTP/1.2 200 OK",
                                "http/1.1 200 OK", "ICY 200 OK", "HTTP/1.1 +20 OK", "HTTP/1.1 200 a\x01"}) {
    auto bad = parse(std::string(line) + "\r\n\r\n");
    ASSERT_TRUE(bad->error) << line;
    EXPECT_EQ(bad->error->status, 502);
  }
}

struct Case {
  std::string_view head;
  Method method;
  Framing framing;
  BodyLength::Kind kind;
  uint64_t bytes;
  bool keep_alive;
};

// RFC 9112, sections 6.3 and 9.3.
TEST(ResponseParser, FramingAndPersistence) {
  using enum BodyLength::Kind;
  for (const Case& each : {
           Case{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Method::kGet, Framing::kLength, kKnown, 5,
                true},
           Case{"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Method::kGet, Framing::kNone, kKnown, 0,
                true},
           Case{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", Method::kGet,
                Framing::kLength, kKnown, 5, true},
           Case{"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n", Method::kGet, Framing::kLength, kKnown, 5,
                true},
           Case{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Method::kGet, Framing::kChunked,
                kUnknown, 0, true},
           Case{"HTTP/1.1 200 OK\r\n\r\n", Method::kGet, Framing::kUntilClose, kUnknown, 0, false},
           Case{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Method::kHead, Framing::kNone, kKnown, 5,
                true},
           Case{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Method::kHead, Framing::kNone,
                kUnknown, 0, true},
           Case{"HTTP/1.1 200 OK\r\n\r\n", Method::kHead, Framing::kNone, kNone, 0, true},
           Case{"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", Method::kGet, Framing::kNone,
                kKnown, 5, true},
           Case{"HTTP/1.1 204 No Content\r\n\r\n", Method::kGet, Framing::kNone, kNone, 0, true},
           Case{"HTTP/1.1 100 Continue\r\n\r\n", Method::kPost, Framing::kNone, kNone, 0, true},
           Case{"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", Method::kGet, Framing::kNone, kNone,
                0, false},
           Case{"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", Method::kGet, Framing::kNone,
                kNone, 0, false},
           Case{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n", Method::kGet,
                Framing::kLength, kKnown, 5, false},
           Case{"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", Method::kGet, Framing::kLength, kKnown, 5,
                false},
           Case{"HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n", Method::kGet,
                Framing::kLength, kKnown, 5, true},
       }) {
    auto p = parse(each.head, each.method);
    ASSERT_FALSE(p->error) << each.head;
    EXPECT_EQ(p->head.framing, each.framing) << each.head;
    EXPECT_EQ(p->response.body.kind, each.kind) << each.head;
    EXPECT_EQ(p->response.body.bytes, each.bytes) << each.head;
    EXPECT_EQ(p->head.keep_alive, each.keep_alive) << each.head;
    EXPECT_FALSE(p->response.fields.has(FieldName::kContentLength));
    EXPECT_FALSE(p->response.fields.has(FieldName::kTransferEncoding));
  }
}

TEST(ResponseParser, DoubtfulFramingIs502) {
  for (std::string_view fields :
       {"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 6\r\n", "Content-Length: 5\r\nContent-Length: 05\r\n", "Content-Length: +5\r\n",
        "Content-Length: ,\r\n", "Transfer-Encoding: gzip\r\n", "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "A : b\r\n", "A: b\r\n c\r\n",
        "A: \x01\r\n", "A\r\n", ": a\r\n"}) {
    auto p = parse("HTTP/1.1 200 OK\r\n" + std::string(fields) + "\r\n");
    ASSERT_TRUE(p->error) << fields;
    EXPECT_EQ(p->error->status, 502) << fields;
    EXPECT_TRUE(p->error->close) << fields;
  }
  EXPECT_TRUE(parse("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")->error);
}

TEST(ResponseParser, FieldsOfTheConnectionAreTakenOut) {
  auto p = parse(
      "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade, x-mine, Set-Cookie\r\nUpgrade: "
      "websocket\r\nX-Mine: 1\r\n"
      "Keep-Alive: timeout=5\r\nProxy-Authenticate: x\r\nSet-Cookie: a=b\r\nSec-WebSocket-Accept: y\r\n\r\n");
  ASSERT_FALSE(p->error);
  EXPECT_EQ(p->response.upgrade, "websocket");
  EXPECT_EQ(p->response.fields.size(), 2u);
  EXPECT_TRUE(p->response.fields.has(FieldName::kSetCookie));
  EXPECT_TRUE(p->response.fields.find("sec-websocket-accept"));
}

TEST(ResponseParser, FieldsAreBounded) {
  Limits limits;
  limits.response_fields = 1;
  EXPECT_FALSE(parse("HTTP/1.1 200 OK\r\nA: b\r\n\r\n", Method::kGet, limits)->error);
  EXPECT_TRUE(parse("HTTP/1.1 200 OK\r\nA: b\r\nA: b\r\n\r\n", Method::kGet, limits)->error);
}

}  // namespace
}  // namespace sluice::http::h1
