#include "policies/transform/grpc_web/grpc_web.h"

#include "base/base64.h"
#include "policies/transform/grpc_transcode/grpc_fixture.h"

namespace sluice::policies::testing {
namespace {

std::string encoded(std::string_view bytes) {
  std::string out;
  base64::append_encoded(bytes, out);
  return out;
}

class GrpcWebTest : public GrpcPolicyTest {
 protected:
  void serve(std::string_view more = {}) {
    start("apis: { a: { upstream: any, policies: [ { grpc_web: {} }" + std::string(more) + " ] } }\n");
  }
  static std::string trailers(std::string_view text) { return framed(text, 0x80); }
};

// PROTOCOL-WEB.md: "application/grpc-web", trailers as the last message.
TEST_F(GrpcWebTest, ABinaryCallBecomesGrpcAndItsTrailersABodysEnd) {
  serve();
  service.pieces = {framed("one"), framed("two")};
  service.trailers = {{"grpc-status", "0"}, {"X-Cost", "7"}};
  service.head = {{"x-initial", "yes"}};
  Answer answer = post("/shop.Books/List", "application/grpc-web+proto", framed("ask"), "X-Grpc-Web: 1\r\n");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.field("content-type"), "application/grpc-web+proto");
  EXPECT_EQ(answer.field("x-initial"), "yes");
  EXPECT_EQ(answer.body, framed("one") + framed("two") + trailers("x-cost: 7\r\ngrpc-status: 0\r\n"));
  EXPECT_EQ(service.messages, std::vector<std::string>{"ask"});
  EXPECT_NE(service.seen.find("Content-Type: application/grpc+proto\n"), std::string::npos) << service.seen;
  EXPECT_NE(service.seen.find("te_trailers"), std::string::npos);
}

TEST_F(GrpcWebTest, TextIsBase64BothWaysAlsoInPaddedPieces) {
  serve();
  service.pieces = {framed("a"), framed("bc")};
  std::string body = encoded(framed("hello").substr(0, 4)) + encoded(framed("hello").substr(4));
  Answer answer = post("/s/M", "application/grpc-web-text", body);
  EXPECT_EQ(answer.field("content-type"), "application/grpc-web-text");
  EXPECT_EQ(service.messages, std::vector<std::string>{"hello"});
  EXPECT_EQ(answer.body,
            encoded(framed("a")) + encoded(framed("bc")) + encoded(trailers("grpc-status: 0\r\n")));
}

TEST_F(GrpcWebTest, TheAnswersFormIsTheOneAccepted) {
  serve();
  for (auto [type, accept, answers] :
       {std::tuple<std::string_view, std::string_view, std::string_view>{"application/grpc-web", "",
                                                                         "application/grpc-web"},
        {"application/grpc-web+proto", "application/grpc-web-text", "application/grpc-web-text+proto"},
        {"application/grpc-web-text+proto", "application/grpc-web+proto", "application/grpc-web+proto"},
        {"application/grpc-web-text", "*/*", "application/grpc-web-text"}}) {
    Answer answer = post("/s/M", type, "", accept.empty() ? "" : "Accept: " + std::string(accept) + "\r\n");
    EXPECT_EQ(answer.field("content-type"), answers) << type << " " << accept;
  }
}

TEST_F(GrpcWebTest, AnAnswerOfOneHeadSaysItsStatusInTheBody) {
  serve();
  service.head = {{"grpc-status", "5"}, {"grpc-message", "no%20book"}, {"x-initial", "yes"}};
  service.trailers = {};
  Answer answer = post("/s/M", "application/grpc-web", framed(""));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.field("grpc-status"), "");
  EXPECT_EQ(answer.field("x-initial"), "yes");
  EXPECT_EQ(answer.body, trailers("grpc-message: no%20book\r\ngrpc-status: 5\r\n"));
}

// Contract, section 3 "Errors".
TEST_F(GrpcWebTest, RefusalsAreStatusesOfACall) {
  serve(", { api_key: {} }");
  Answer answer = post("/s/M", "application/grpc-web", framed(""));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.field("content-type"), "application/grpc-web");
  EXPECT_NE(answer.body.find("grpc-status: 16\r\n"), std::string::npos) << answer.body;
  EXPECT_EQ(answer.body.substr(0, 1), "\x80");

  reload("apis: { a: { upstream: any, policies: [ { grpc_web: {} } ] } }\n");
  service.status = 503;
  service.content_type = "text/html";
  service.pieces = {"<html>"};
  EXPECT_EQ(post("/s/M", "application/grpc-web", framed("")).body, trailers("grpc-status: 14\r\n"));
}

TEST_F(GrpcWebTest, ACallWithoutAStatusIsUnknownAndABrokenOneBreaks) {
  serve();
  service.trailers = {};
  service.pieces = {framed("x")};
  EXPECT_EQ(post("/s/M", "application/grpc-web", framed("")).body,
            framed("x") + trailers("grpc-status: 2\r\n"));
  service.breaks = true;
  EXPECT_EQ(post("/s/M", "application/grpc-web", framed("")).status, 0);
}

TEST_F(GrpcWebTest, BadBase64IsRefused) {
  serve();
  for (std::string_view body : {"****", "AAAA=", "A", "AA=A"}) {
    service = {};
    Answer answer = post("/s/M", "application/grpc-web-text", body);
    EXPECT_EQ(service.fault, "The body is not base64.") << body;
    EXPECT_EQ(answer.field("content-type"), "application/grpc-web-text");
  }
}

TEST_F(GrpcWebTest, WhatIsNoGrpcWebPassesUntouched) {
  serve();
  service.content_type = "application/grpc";
  service.pieces = {framed("x")};
  for (std::string_view type : {"application/grpc", "application/json", "application/grpc-webx", ""}) {
    Answer answer = post("/s/M", type, framed("q"));
    EXPECT_EQ(answer.field("content-type"), "application/grpc") << type;
    EXPECT_EQ(answer.body, framed("x")) << type;
  }
}

}  // namespace
}  // namespace sluice::policies::testing
