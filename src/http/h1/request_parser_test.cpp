#include "http/h1/request_parser.h"

#include <gtest/gtest.h>

#include "http/h1/head_scanner.h"

namespace sluice::http::h1 {
namespace {

struct Parsed {
  Arena arena;
  Request request{arena};
  RequestHead head;
  std::optional<Error> error;
};

/// Scans and parses, as a connection does.
std::unique_ptr<Parsed> parse(std::string_view bytes, const Limits& limits = {}) {
  auto parsed = std::make_unique<Parsed>();
  HeadScanner scanner(Side::kRequest, limits);
  auto progress = scanner.feed(bytes);
  if (!progress) {
    parsed->error = progress.error();
    return parsed;
  }
  EXPECT_TRUE(progress->complete) << bytes;
  std::string_view head = parsed->arena.copy(bytes.substr(progress->skip, progress->used - progress->skip));
  auto result = parse_request(head, limits, parsed->request);
  if (result) {
    parsed->head = *result;
  } else {
    parsed->error = result.error();
  }
  return parsed;
}
std::unique_ptr<Parsed> parse_fields(std::string_view fields) {
  return parse("POST / HTTP/1.1\r\nHost: a\r\n" + std::string(fields) + "\r\n");
}

TEST(RequestParser, PartsOfAPlainRequest) {
  auto p = parse(
      "POST /a/%62?c=d HTTP/1.1\r\nHost: Example.com:80\r\nUser-Agent:x \r\nx-empty:\r\nX-Text: \t "
      "caf\xe9\tau lait \t\r\n"
      "Content-Length: 5\r\n\r\n");
  ASSERT_FALSE(p->error);
  const Request& r = p->request;
  EXPECT_EQ(r.method, Method::kPost);
  EXPECT_EQ(r.method_text, "POST");
  EXPECT_EQ(r.version, Version::kHttp11);
  EXPECT_EQ(r.target, "/a/%62?c=d");
  EXPECT_EQ(r.authority, "example.com:80");
  EXPECT_EQ(r.path, "/a/b");
  EXPECT_EQ(r.query, "c=d");
  EXPECT_TRUE(r.has_query);
  EXPECT_EQ(r.body.kind, BodyLength::Kind::kKnown);
  EXPECT_EQ(r.body.bytes, 5u);
  EXPECT_EQ(p->head.framing, Framing::kLength);
  EXPECT_TRUE(p->head.keep_alive);
  ASSERT_EQ(r.fields.size(), 3u);
  EXPECT_EQ(r.fields.value(FieldName::kUserAgent), "x");
  EXPECT_EQ(r.fields.all()[1].name, "x-empty");
  EXPECT_EQ(r.fields.all()[1].value, "");
  EXPECT_EQ(r.fields.all()[2].value, "caf\xe9\tau lait");
}

struct Vector {
  std::string_view bytes;
  uint16_t status;
  std::string_view code;
  std::string_view why;
};

// Every one of these has been used to make two servers see different requests. All close the connection.
constexpr Vector kSmuggling[] = {
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n", 400,
     "length_and_coding", "CL.TE; RFC 9112, 6.3"},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n", 400,
     "length_and_coding", "TE.CL; RFC 9112, 6.3"},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n", 400,
     "bad_transfer_encoding", "TE.TE; RFC 9112, 6.1"},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400,
     "bad_transfer_encoding", "RFC 9112, 6.1: applied twice"},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", 400,
     "bad_transfer_encoding", "RFC 9112, 6.1: applied twice"},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", 400, "bad_transfer_encoding",
     "RFC 9112, 6.3: chunked is not last"},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501, "unknown_transfer_coding",
     "RFC 9112, 6.1"},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", 501, "unknown_transfer_coding",
     "RFC 9112, 6.1"},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", 501, "unknown_transfer_coding",
     "RFC 9112, 7: no longer a coding"},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;q=1\r\n\r\n", 400, "bad_transfer_encoding",
     "RFC 9112, 7.1: no parameters"},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n", 400, "bad_transfer_encoding",
     "RFC 9112, 7"},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ,chunked\r\n\r\n", 400, "bad_transfer_encoding",
     "exactly chunked"},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n", 400, "bad_transfer_encoding",
     "exactly chunked"},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0b"
     "chunked\r\n\r\n",
     400, "bad_field_value", "RFC 9110, 5.5"},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n", 400, "space_before_colon",
     "RFC 9112, 5.1"},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding\t: chunked\r\n\r\n", 400, "space_before_colon",
     "RFC 9112, 5.1"},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n", 400, "obs_fold",
     "RFC 9112, 5.2"},
    {"POST / HTTP/1.1\r\nHost: a\r\nX: y\r\n\tTransfer-Encoding: chunked\r\n\r\n", 400, "obs_fold",
     "RFC 9112, 5.2"},
    {"POST / HTTP/1.1\r\n Host: a\r\n\r\n", 400, "obs_fold",
     "RFC 9112, 2.2: white space after the start line"},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\n\r\n", 400, "bare_lf", "RFC 9112, 2.2"},
    {"POST / HTTP/1.1\r\nHost: a\r\nX: y\nTransfer-Encoding: chunked\r\n\r\n", 400, "bare_lf",
     "RFC 9112, 2.2"},
    {"POST / HTTP/1.1\r\nHost: a\r\nX: y\rTransfer-Encoding: chunked\r\n\r\n", 400, "bare_cr",
     "RFC 9112, 2.2"},
    {"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "transfer_encoding_in_http10",
     "RFC 9112, 6.1"},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n", 400, "bad_content_length", "RFC 9110, 8.6"},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n", 400, "bad_content_length", "RFC 9110, 8.6"},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\n", 400, "bad_content_length", "RFC 9110, 8.6"},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5 5\r\n\r\n", 400, "bad_content_length", "RFC 9110, 8.6"},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5,5\r\n\r\n", 400, "bad_content_length",
     "RFC 9112, 6.3, the strict choice"},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 6\r\n\r\n", 400, "bad_content_length",
     "RFC 9112, 6.3"},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 400, "bad_content_length", "RFC 9110, 8.6"},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775808\r\n\r\n", 400, "bad_content_length",
     "overflow"},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551621\r\n\r\n", 400, "bad_content_length",
     "overflow"},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", 400,
     "repeated_content_length", "RFC 9112, 6.3, the strict choice"},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\ncontent-length: 6\r\n\r\n", 400,
     "repeated_content_length", "RFC 9112, 6.3"},
    {"GET / HTTP/1.1\r\nA: b\r\n\r\n", 400, "no_host", "RFC 9112, 3.2"},
    {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, "repeated_host", "RFC 9112, 3.2"},
    {"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400, "repeated_host", "RFC 9112, 3.2"},
    {"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400, "bad_host", "RFC 9112, 3.2"},
    {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "bad_host", "RFC 9112, 3.2"},
    {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "bad_host", "RFC 9112, 3.2"},
    {"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400, "bad_host", "RFC 9110, 4.2.1: http has no empty host"},
    {"GET http://a@b/ HTTP/1.1\r\nHost: b\r\n\r\n", 400, "bad_host", "RFC 9110, 4.2.4"},
    {"GET http:/// HTTP/1.1\r\nHost: b\r\n\r\n", 400, "bad_host", "RFC 9110, 4.2.1"},
    {"GET http://a/ HTTP/1.1\r\n\r\n", 400, "no_host", "RFC 9112, 3.2"},
    {"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_target", "not ours to serve"},
    {"GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_target", "RFC 9112, 3.2"},
    {"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_target", "RFC 9112, 3.2.4"},
    {"GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_target", "RFC 9112, 3.2.3"},
    {"CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_target", "RFC 9112, 3.2.3"},
    {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_start_line", "RFC 9112, 3: single spaces"},
    {"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_start_line", "RFC 9112, 3"},
    {"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400, "bad_start_line", "RFC 9112, 3"},
    {"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_start_line", "RFC 9112, 3"},
    {"GET /\tHTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_start_line", "RFC 9112, 3"},
    {"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_start_line", "RFC 9112, 3.2"},
    {"G(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_start_line", "RFC 9110, 9.1"},
    {"GET /\r\nHost: a\r\n\r\n", 400, "bad_start_line", "HTTP/0.9"},
    {"GET /\r\nA: HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_start_line", "a version in the next line"},
    {"GET\r\n\r\n", 400, "bad_start_line", "RFC 9112, 3"},
    {"GET / http/1.1\r\nHost: a\r\n\r\n", 400, "bad_start_line", "RFC 9112, 2.3"},
    {"GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400, "bad_start_line", "RFC 9112, 2.3"},
    {"GET / HTTP/11.1\r\nHost: a\r\n\r\n", 400, "bad_start_line", "RFC 9112, 2.3"},
    {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505, "version_not_supported", "RFC 9110, 15.6.6"},
    {"GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505, "version_not_supported", "RFC 9110, 15.6.6"},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "version_not_supported", "RFC 9113, 3.4, without an agreement"},
    {"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", 400, "bad_field_name", "RFC 9112, 5"},
    {"GET / HTTP/1.1\r\nHost: a\r\nnocolon\r\n\r\n", 400, "bad_field_name", "RFC 9112, 5"},
    {"GET / HTTP/1.1\r\nHost: a\r\na b: c\r\n\r\n", 400, "bad_field_name", "RFC 9110, 5.1"},
    {"GET / HTTP/1.1\r\nHost: a\r\na\xe9: c\r\n\r\n", 400, "bad_field_name", "RFC 9110, 5.1"},
    {"GET / HTTP/1.1\r\nHost: a\r\na(: c\r\n\r\n", 400, "bad_field_name", "RFC 9110, 5.1"},
    {"GET / HTTP/1.1\r\nHost: a\r\nA: b\x7f\r\n\r\n", 400, "bad_field_value", "RFC 9110, 5.5"},
    {"GET / HTTP/1.1\r\nHost: a\r\nA: b\x01\r\n\r\n", 400, "bad_field_value", "RFC 9110, 5.5"},
};

TEST(RequestParser, WhereFramingIsInDoubtTheConnectionIsClosed) {
  for (const Vector& each : kSmuggling) {
    auto p = parse(each.bytes);
    ASSERT_TRUE(p->error) << each.bytes << each.why;
    EXPECT_EQ(p->error->status, each.status) << each.bytes << each.why;
    EXPECT_EQ(p->error->code, each.code) << each.bytes << each.why;
    EXPECT_TRUE(p->error->close) << each.bytes << each.why;
  }
}

TEST(RequestParser, NulIsRefusedEverywhere) {
  std::string good = "POST /abc?d HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nX: yz\r\n\r\n";
  for (size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = '\0';
    if (at >= good.size() - 2 || good[at] == '\r' || good[at] == '\n') continue;
    EXPECT_TRUE(parse(bad)->error) << at;
  }
}

// Contract, "Strictness": other 400s keep the connection. The framing is told, so that the body can be
// skipped.
// RFC 9110, section 5.6.2: the bytes of a token, wherever in a name they stand, and near the end of the head
// too.
TEST(RequestParser, NamesAreTokens) {
  const std::string_view marks = "!#$%&'*+-.^_`|~";
  for (int byte = 1; byte < 256; ++byte) {
    auto c = static_cast<char>(byte);
    bool token = ascii::is_digit(c) || ascii::is_alpha(c) || marks.find(c) != std::string_view::npos;
    for (std::string_view around : {"", "a", "X-Abc-12", "X-Rather-Long-Name-Of-A-Field"}) {
      for (std::string_view value : {"", "a value that is longer than sixteen bytes"}) {
        if (c == ':' || c == '\r' || c == '\n') continue;  // these end the name, or the line
        std::string name = std::string(around) + c + std::string(around);
        std::string head = "GET / HTTP/1.1\r\nHost: a\r\n" + name + ":" + std::string(value) + "\r\n\r\n";
        Arena arena;
        Request request(arena);
        EXPECT_EQ(parse_request(head, Limits(), request).has_value(), token) << byte << " in " << head;
      }
    }
  }
}

TEST(RequestParser, WhatIsUnderstoodAndRefusedKeepsTheConnection) {
  for (std::string_view line :
       {"POST /.. HTTP/1.1", "POST /%zz HTTP/1.1", "POST /%00 HTTP/1.1", "POST /a\\b HTTP/1.1",
        "POST /a#b HTTP/1.1", "POST /\xe9 HTTP/1.1", "POST /a?b#c HTTP/1.1", "POST /a?\xe9 HTTP/1.1",
        "POST http://a/.. HTTP/1.1"}) {
    auto p = parse(std::string(line) + "\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
    ASSERT_FALSE(p->error) << line;
    ASSERT_TRUE(p->head.refused) << line;
    EXPECT_EQ(p->head.refused->status, 400);
    EXPECT_FALSE(p->head.refused->close);
    EXPECT_TRUE(p->head.keep_alive);
    EXPECT_EQ(p->request.body.bytes, 5u);
  }
}

// RFC 9110, section 10.1.1.
TEST(RequestParser, Expectations) {
  auto p = parse_fields("Expect: 100-Continue\r\nContent-Length: 5\r\n");
  ASSERT_FALSE(p->error);
  EXPECT_TRUE(p->head.expect_continue);
  EXPECT_TRUE(p->request.fields.has(FieldName::kExpect));
  p = parse_fields("Expect: 100-continue\r\n");  // no content: nothing to wait for
  EXPECT_FALSE(p->head.expect_continue);
  EXPECT_FALSE(p->request.fields.has(FieldName::kExpect));
  p = parse("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  EXPECT_FALSE(p->head.expect_continue);
  EXPECT_FALSE(p->request.fields.has(FieldName::kExpect));
  p = parse_fields("Expect: tea\r\nContent-Length: 5\r\n");
  ASSERT_TRUE(p->head.refused);
  EXPECT_EQ(p->head.refused->status, 417);
  EXPECT_FALSE(p->head.keep_alive);  // will the body come or not?
  p = parse_fields("Expect: tea\r\n");
  ASSERT_TRUE(p->head.refused);
  EXPECT_TRUE(p->head.keep_alive);
}

// RFC 9112, section 3.2.
TEST(RequestParser, FormsOfTheTarget) {
  struct Case {
    std::string_view line, authority, path, query;
  };
  for (const Case& each :
       {Case{"GET / HTTP/1.1", "a", "/", ""}, Case{"GET /?x HTTP/1.1", "a", "/", "x"},
        Case{"GET HTTP://B:81/x?y HTTP/1.1", "b:81", "/x", "y"}, Case{"GET https://b HTTP/1.1", "b", "/", ""},
        Case{"GET http://b?y HTTP/1.1", "b", "/", "y"}, Case{"OPTIONS * HTTP/1.1", "a", "*", ""},
        Case{"OPTIONS http://b HTTP/1.1", "b", "*", ""}, Case{"OPTIONS http://b/ HTTP/1.1", "b", "/", ""},
        Case{"GET //b/c HTTP/1.1", "a", "/b/c", ""}, Case{"CONNECT B:443 HTTP/1.1", "b:443", "", ""}}) {
    auto p = parse(std::string(each.line) + "\r\nHost: a\r\n\r\n");
    ASSERT_FALSE(p->error) << each.line;
    EXPECT_FALSE(p->head.refused) << each.line;
    EXPECT_EQ(p->request.authority, each.authority) << each.line;
    EXPECT_EQ(p->request.path, each.path) << each.line;
    EXPECT_EQ(p->request.query, each.query) << each.line;
    EXPECT_EQ(p->head.keep_alive, p->request.method != Method::kConnect);
  }
}

// RFC 9112, section 9.3; RFC 9110, section 2.5 for the version.
TEST(RequestParser, Persistence) {
  auto keeps = [](std::string_view bytes) { return parse(bytes)->head.keep_alive; };
  EXPECT_TRUE(keeps("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  EXPECT_FALSE(keeps("GET / HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n"));
  EXPECT_FALSE(keeps("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, close\r\n\r\n"));
  EXPECT_FALSE(keeps("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n"));
  EXPECT_FALSE(keeps("GET / HTTP/1.0\r\n\r\n"));
  EXPECT_TRUE(keeps("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"));
  EXPECT_TRUE(keeps("GET / HTTP/1.9\r\nHost: a\r\n\r\n"));
}

// RFC 9110, section 7.6.1.
TEST(RequestParser, FieldsOfTheConnectionAreTakenOut) {
  auto p = parse_fields(
      "Connection: X-Mine, upgrade, te, Authorization, X-Forwarded-For, Host\r\nKeep-Alive: "
      "5\r\nProxy-Connection: x\r\n"
      "TE: gzip, trailers\r\nUpgrade: websocket\r\nHTTP2-Settings: x\r\nProxy-Authorization: x\r\nx-mine: "
      "1\r\nX-Mine: 2\r\n"
      "Authorization: b\r\nX-Forwarded-For: c\r\nTrailer: t\r\nX-Other: o\r\n");
  ASSERT_FALSE(p->error);
  std::vector<std::string> names;
  for (const Field& field : p->request.fields) names.emplace_back(field.name);
  EXPECT_EQ(names, (std::vector<std::string>{"Authorization", "X-Forwarded-For", "Trailer", "X-Other"}));
  EXPECT_TRUE(p->head.te_trailers);
  EXPECT_EQ(p->head.upgrade, "websocket");
  EXPECT_EQ(p->request.authority, "a");
}

TEST(RequestParser, UpgradeNeedsItsConnectionOption) {
  EXPECT_EQ(parse_fields("Upgrade: websocket\r\n")->head.upgrade, "");
  EXPECT_EQ(parse("GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")->head.upgrade, "");
}

TEST(RequestParser, ChunkedIsTakenInAnyCase) {
  auto p = parse_fields("Transfer-Encoding: Chunked\r\n");
  ASSERT_FALSE(p->error);
  EXPECT_EQ(p->head.framing, Framing::kChunked);
  EXPECT_EQ(p->request.body.kind, BodyLength::Kind::kUnknown);
  p = parse_fields("Content-Length: 0\r\n");
  EXPECT_EQ(p->head.framing, Framing::kNone);
  EXPECT_EQ(p->request.body.kind, BodyLength::Kind::kKnown);
}

TEST(RequestParser, LimitsAreExact) {
  Limits limits;
  limits.request_fields = 2;
  limits.request_target = 4;
  EXPECT_FALSE(parse("GET /abc HTTP/1.1\r\nHost: a\r\nB: c\r\n\r\n", limits)->error);
  EXPECT_EQ(parse("GET /abcd HTTP/1.1\r\nHost: a\r\n\r\n", limits)->error->status, 414);
  EXPECT_EQ(parse("GET / HTTP/1.1\r\nHost: a\r\nB: c\r\nD: e\r\n\r\n", limits)->error->status, 431);
  std::string options = "Connection: a0";
  for (int i = 1; i < 33; ++i) options += ",a" + std::to_string(i);
  EXPECT_EQ(parse_fields(options + "\r\n")->error->code, "too_many_connection_options");
}

TEST(RequestParser, AHeadIsOneHead) {
  Arena arena;
  for (std::string_view head :
       {"", "\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\nX: y\r\n\r\n"}) {
    Request request(arena);
    EXPECT_FALSE(parse_request(head, {}, request)) << head;
  }
}

}  // namespace
}  // namespace sluice::http::h1
