#include "http/h1/serializer.h"

#include <gtest/gtest.h>

#include "http/h1/request_parser.h"

namespace sluice::http::h1 {
namespace {

class Serializer : public ::testing::Test {
 protected:
  Arena arena_;
  Request request_{arena_};
  Response response_{arena_};
};

TEST_F(Serializer, RequestHasHostFirstAndFramingFromItsBody) {
  request_.method = Method::kPost;
  request_.path = "/a";
  request_.has_query = true;
  request_.fields.add("X-a", "b");
  EXPECT_EQ(write_request_head(request_, {.host = "h:1", .base_path = "/base"}, arena_),
            "POST /base/a? HTTP/1.1\r\nHost: h:1\r\nX-a: b\r\n\r\n");
  request_.body = BodyLength::known(12);
  request_.query = "q";
  EXPECT_EQ(write_request_head(
                request_, {.host = "h", .connection = ConnectionOption::kClose, .te_trailers = true}, arena_),
            "POST /a?q HTTP/1.1\r\nHost: h\r\nX-a: b\r\nContent-Length: 12\r\nTE: trailers\r\nConnection: "
            "close, TE\r\n\r\n");
  request_.body = BodyLength::unknown();
  request_.has_query = false;
  EXPECT_EQ(write_request_head(request_, {.host = "h", .te_trailers = true}, arena_),
            "POST /a HTTP/1.1\r\nHost: h\r\nX-a: b\r\nTransfer-Encoding: chunked\r\nTE: "
            "trailers\r\nConnection: TE\r\n\r\n");
}

TEST_F(Serializer, RequestKeepsAnUnknownMethodAndTheAsterisk) {
  request_.method = Method::kOther;
  request_.method_text = "PROPFIND";
  request_.path = "*";
  EXPECT_EQ(
      write_request_head(
          request_,
          {.host = "h", .base_path = "/b", .connection = ConnectionOption::kUpgrade, .upgrade = "websocket"},
          arena_),
      "PROPFIND * HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
}

// Fields that were received are copied in one piece where nothing has to change; nobody may see a difference.
TEST_F(Serializer, ReceivedFieldsAreWrittenAsIfEachWereMade) {
  std::string_view received =
      "GET / HTTP/1.1\r\nHost: h\r\nA: 1\r\nB: 2\r\nUpgrade: x\r\nC: 3\r\nD:4\r\nE:\t5\r\nF: 6 \r\nG: 7\r\n"
      "H:  8\r\nI: \r\nJ:\r\nK: 9\r\n\r\n";
  ASSERT_TRUE(parse_request(received, Limits(), request_));
  EXPECT_EQ(write_request_head(request_, {.host = "h"}, arena_),
            "GET / HTTP/1.1\r\nHost: h\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\nF: 6\r\nG: 7\r\nH: 8\r\nI: "
            "\r\nJ: "
            "\r\nK: 9\r\n\r\n");
  request_.fields.remove("b");
  request_.fields.set("G", "other");
  request_.fields.add("A", "2");
  EXPECT_EQ(
      write_request_head(request_, {.host = "h"}, arena_),
      "GET / HTTP/1.1\r\nHost: h\r\nA: 1\r\nC: 3\r\nD: 4\r\nE: 5\r\nF: 6\r\nG: other\r\nH: 8\r\nI: \r\nJ: "
      "\r\nK: 9\r\nA: 2\r\n\r\n");
}

// RFC 9112, section 6; RFC 9110, section 8.6.
TEST_F(Serializer, ResponseFraming) {
  auto head = [&](uint16_t status, BodyLength body, ResponseHeadOptions options = {}) {
    response_.status = status;
    response_.body = body;
    std::string_view text = write_response_head(response_, options, arena_);
    return text.substr(text.find("\r\n") + 2);
  };
  EXPECT_EQ(head(200, BodyLength::known(3)), "Content-Length: 3\r\n\r\n");
  EXPECT_EQ(head(200, BodyLength::none()), "Content-Length: 0\r\n\r\n");
  EXPECT_EQ(head(200, BodyLength::none(), {.answers_head = true}), "\r\n");
  EXPECT_EQ(head(200, BodyLength::known(3), {.answers_head = true}), "Content-Length: 3\r\n\r\n");
  EXPECT_EQ(head(200, BodyLength::unknown()), "Transfer-Encoding: chunked\r\n\r\n");
  EXPECT_EQ(head(200, BodyLength::unknown(), {.connection = ConnectionOption::kClose, .chunked = false}),
            "Connection: close\r\n\r\n");
  for (uint16_t status : {100, 101, 204}) {
    EXPECT_EQ(head(status, BodyLength::known(3)), "\r\n");
    EXPECT_EQ(head(status, BodyLength::unknown()), "\r\n");
  }
  EXPECT_EQ(head(304, BodyLength::none()), "\r\n");
  EXPECT_EQ(head(304, BodyLength::known(3)), "Content-Length: 3\r\n\r\n");
}

TEST_F(Serializer, ResponseLineAndDate) {
  EXPECT_EQ(write_response_head(response_, {.date = "D"}, arena_),
            "HTTP/1.1 200 OK\r\nDate: D\r\nContent-Length: 0\r\n\r\n");
  response_.fields.add(FieldName::kDate, "E");
  response_.status = 299;
  EXPECT_EQ(write_response_head(response_, {.connection = ConnectionOption::kKeepAlive, .date = "D"}, arena_),
            "HTTP/1.1 299 \r\nDate: E\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n");
  response_.reason = "Fine";
  EXPECT_TRUE(write_response_head(response_, {}, arena_).starts_with("HTTP/1.1 299 Fine\r\n"));
}

// RFC 9110, section 15.5.22.
TEST_F(Serializer, UpgradeRequiredSaysWhichAndToWhomItIsSaid) {
  response_.status = 426;
  response_.upgrade = "websocket";
  EXPECT_EQ(write_response_head(response_, {.connection = ConnectionOption::kClose}, arena_),
            "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nConnection: close\r\n\r\n");
}

TEST_F(Serializer, Chunks) {
  EXPECT_EQ(ChunkLine(0).text(), "0\r\n");
  EXPECT_EQ(ChunkLine(0x1a2b).text(), "1a2b\r\n");
  EXPECT_EQ(ChunkLine(UINT64_MAX).text(), "ffffffffffffffff\r\n");
  Fields trailers(arena_);
  EXPECT_EQ(write_last_chunk(trailers, arena_), "0\r\n\r\n");
  trailers.add("a", "b");
  EXPECT_EQ(write_last_chunk(trailers, arena_), "0\r\na: b\r\n\r\n");
}

}  // namespace
}  // namespace sluice::http::h1
