#include "http/h2/request_head.h"

#include <gtest/gtest.h>

#include <vector>

namespace sluice::http::h2 {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

/// A head of these fields, after pseudo fields that are fine unless they are given.
class Http2RequestHeadTest : public ::testing::Test {
 protected:
  const Error* read(const Pairs& pairs, bool ended = true) {
    head.emplace(request);
    Pairs pseudo{{":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {":authority", "a.test"}};
    for (auto& [name, value] : pseudo) {
      for (const auto& [given, other] : pairs)
        if (given == name) value = other;
      if (value != "-") readable &= head->add(name, value, limits);
    }
    for (const auto& [name, value] : pairs)
      if (!name.starts_with(':') || name == ":protocol") readable &= head->add(name, value, limits);
    head->finish(ended);
    return head->refused();
  }
  std::string code(const Pairs& pairs, bool ended = true) {
    const Error* error = read(pairs, ended);
    return error ? std::string(error->code) : "";
  }

  Arena arena;
  Request request{arena};
  Limits limits;
  std::optional<RequestHead> head;
  bool readable = true;
};

TEST_F(Http2RequestHeadTest, MakesARequestOfPseudoFieldsAndFields) {
  EXPECT_EQ(code({{":method", "POST"},
                  {":path", "/a/%7eb?c=d"},
                  {":authority", "A.Test:80"},
                  {"content-type", "text/plain"},
                  {"x-own", "1"},
                  {"te", "trailers"}},
                 false),
            "");
  EXPECT_EQ(request.method, Method::kPost);
  EXPECT_EQ(request.version, Version::kHttp2);
  EXPECT_EQ(request.target, "/a/%7eb?c=d");
  EXPECT_EQ(request.path, "/a/~b");
  EXPECT_EQ(request.query, "c=d");
  EXPECT_EQ(request.authority, "a.test:80");
  EXPECT_EQ(request.fields.value(FieldName::kContentType), "text/plain");
  EXPECT_EQ(request.fields.find("x-own")->value, "1");
  EXPECT_FALSE(request.fields.has(FieldName::kTe));
  EXPECT_TRUE(head->te_trailers());
  EXPECT_EQ(request.body.kind, BodyLength::Kind::kUnknown);
}

// RFC 9113, section 8.2.3.
TEST_F(Http2RequestHeadTest, CookieCrumbsAreJoined) {
  EXPECT_EQ(code({{"cookie", "a=1"}, {"x", "y"}, {"cookie", ""}, {"cookie", "b=2; c=3"}}), "");
  EXPECT_EQ(request.fields.count(FieldName::kCookie), 1u);
  EXPECT_EQ(request.fields.value(FieldName::kCookie), "a=1; ; b=2; c=3");
}

// Contract, section 3 "Strictness", and the rules of http/uri.h and http/path.h.
TEST_F(Http2RequestHeadTest, RefusesWhatHttp1Refuses) {
  struct Case {
    Pairs fields;
    std::string code;
  };
  const Case cases[] = {
      {{{"host", "a.test"}}, ""},
      {{{"host", "A.TEST"}}, ""},
      {{{"host", "b.test"}}, "hosts_differ"},
      {{{"host", "a.test:80"}}, "hosts_differ"},
      {{{":authority", "-"}, {"host", "b.test"}}, ""},
      {{{":authority", "-"}, {"host", "b@test"}}, "bad_host"},
      {{{":authority", "user@a.test"}}, "bad_host"},
      {{{":authority", "a.test:99999"}}, "bad_host"},
      {{{":authority", "a test"}}, "bad_host"},
      {{{":authority", ""}}, "bad_host"},
      {{{":path", ""}}, "bad_target"},
      {{{":path", "http://a.test/"}}, "bad_target"},
      {{{":path", "*"}}, "bad_target"},
      {{{":method", "OPTIONS"}, {":path", "*"}}, ""},
      {{{":scheme", "ftp"}}, "bad_scheme"},
      {{{":scheme", "HTTPS"}}, ""},
      {{{"expect", "200-ok"}}, "unknown_expectation"},
      {{{":method", "CONNECT"}, {":protocol", "connect-udp"}}, "unknown_protocol"},
      {{{":path", "/a#b"}}, "bad_path"},
  };
  for (const Case& each : cases) {
    request = Request(arena);
    std::string got = code(each.fields);
    if (each.code == "bad_path")
      EXPECT_NE(got, "");
    else
      EXPECT_EQ(got, each.code) << each.fields[0].first << " " << each.fields[0].second;
  }
  for (const char* path : {"/%00", "/a\\b", "/../x", "/%zz", "/a?b c", "/\xc3\xa4"}) {
    request = Request(arena);
    EXPECT_EQ(read({{":path", path}})->status, 400) << path;
  }
}

TEST_F(Http2RequestHeadTest, LimitsAreAnsweredWithTheirStatus) {
  limits = {.request_target = 100, .request_head = 1000, .request_fields = 5};
  EXPECT_EQ(read({{":path", "/" + std::string(100, 'a')}})->status, 414);
  request = Request(arena);
  EXPECT_EQ(code({{"a", std::string(1000, 'a')}}), "head_too_large");
  request = Request(arena);
  EXPECT_EQ(code(Pairs(6, {"a", "b"})), "too_many_fields");
  request = Request(arena);
  EXPECT_EQ(code(Pairs(5, {"a", "b"})), "");
  EXPECT_TRUE(readable);
  request = Request(arena);
  EXPECT_EQ(code(Pairs(500, {"a", "b"})), "too_many_fields");
  EXPECT_FALSE(readable) << "much more than that is not read through";
}

TEST_F(Http2RequestHeadTest, BodiesAreAsLongAsAnnounced) {
  EXPECT_EQ(code({{"content-length", "5"}, {"expect", "100-continue"}}, false), "");
  EXPECT_EQ(request.body.kind, BodyLength::Kind::kKnown);
  EXPECT_EQ(request.body.bytes, 5u);
  EXPECT_TRUE(head->expects_continue());
  EXPECT_TRUE(request.fields.has(FieldName::kExpect));
  request = Request(arena);
  EXPECT_EQ(code({{"expect", "100-continue"}}, true), "");
  EXPECT_EQ(request.body.kind, BodyLength::Kind::kNone);
  EXPECT_FALSE(head->expects_continue()) << "RFC 9110, section 10.1.1: without content it is ignored";
  EXPECT_FALSE(request.fields.has(FieldName::kExpect));
  request = Request(arena);
  EXPECT_EQ(code({{"content-length", "99999999999999999999"}}, false), "bad_content_length");
}

// RFC 8441, section 5: what is GET with Upgrade in HTTP/1.1 is CONNECT with a protocol here.
TEST_F(Http2RequestHeadTest, ExtendedConnectIsAnUpgradeOfAGet) {
  EXPECT_EQ(code({{":method", "CONNECT"}, {":protocol", "websocket"}, {":path", "/chat"}}, false), "");
  EXPECT_EQ(request.method, Method::kGet);
  EXPECT_EQ(request.method_text, "GET");
  EXPECT_EQ(request.path, "/chat");
  EXPECT_EQ(head->upgrade(), "websocket");
}

TEST_F(Http2RequestHeadTest, PlainConnectHasAnAuthorityAlone) {
  EXPECT_EQ(code({{":method", "CONNECT"}, {":path", "-"}, {":scheme", "-"}, {":authority", "a.test:443"}}),
            "");
  EXPECT_EQ(request.method, Method::kConnect);
  EXPECT_EQ(request.authority, "a.test:443");
  EXPECT_EQ(request.path, "");
}

}  // namespace
}  // namespace sluice::http::h2
