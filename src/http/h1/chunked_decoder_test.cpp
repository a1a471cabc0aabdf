#include "http/h1/chunked_decoder.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace sluice::http::h1 {
namespace {

struct Outcome {
  std::string body;
  std::string trailers;
  std::string_view code;
  uint16_t status = 0;
  bool done = false;
  size_t left_over = 0;
  bool operator==(const Outcome&) const = default;
};

template <class NextSize>
Outcome decode(std::string_view bytes, NextSize next_size, const Limits& limits = {},
               Side side = Side::kRequest) {
  Arena arena;
  Fields trailers(arena);
  ChunkedDecoder decoder(side, limits, trailers);
  Outcome outcome;
  while (!bytes.empty() && !outcome.done && outcome.code.empty()) {
    std::string piece(bytes.substr(0, next_size()));  // a copy: reading beyond it is seen by ASan
    bytes.remove_prefix(piece.size());
    std::string_view input = piece;
    while (!input.empty() && !outcome.done) {
      auto step = decoder.next(input);
      if (!step) {
        outcome.code = step.error().code;
        outcome.status = step.error().status;
        break;
      }
      outcome.body += step->data;
      outcome.done = step->done;
    }
    outcome.left_over = outcome.done ? input.size() + bytes.size() : 0;
  }
  for (const Field& field : trailers)
    outcome.trailers += std::string(field.name) + "=" + std::string(field.value) + ";";
  return outcome;
}
Outcome decode_whole(std::string_view bytes, const Limits& limits = {}, Side side = Side::kRequest) {
  return decode(bytes, [&] { return bytes.size(); }, limits, side);
}

// RFC 9112, section 7.1.
TEST(ChunkedDecoder, BodyTrailersAndWhatFollows) {
  Outcome outcome =
      decode_whole("5\r\nhello\r\n00A\r\n, world!!!\r\n0\r\nX-Sum: 1 \r\ngrpc-status: 0\r\n\r\nGET /");
  EXPECT_TRUE(outcome.done);
  EXPECT_EQ(outcome.body, "hello, world!!!");
  EXPECT_EQ(outcome.trailers, "X-Sum=1;grpc-status=0;");
  EXPECT_EQ(outcome.left_over, 5u);
  EXPECT_EQ(decode_whole("0\r\n\r\n").done, true);
  EXPECT_EQ(decode_whole("0\r\n\r").done, false);
}

TEST(ChunkedDecoder, BodyIsAViewOfTheInput) {
  Arena arena;
  Fields trailers(arena);
  ChunkedDecoder decoder(Side::kRequest, {}, trailers);
  std::string_view input = "5\r\nhel";
  const char* data = input.data();
  auto step = decoder.next(input);
  ASSERT_TRUE(step);
  EXPECT_EQ(step->data.data(), data + 3);
  EXPECT_EQ(step->data, "hel");
  EXPECT_TRUE(input.empty());
  EXPECT_EQ(decoder.chunk_left(), 2u);
}

// RFC 9112, section 7.1.1.
TEST(ChunkedDecoder, ExtensionsAreSkipped) {
  for (std::string_view line :
       {"1;a", "1;a=b", "1 ; a = \"b;\\\"c\" ;d", "1;a=\"\"", "1\t;a;b;c=d", "1;a=b ", "1;a "}) {
    Outcome outcome = decode_whole(std::string(line) + "\r\nx\r\n0\r\n\r\n");
    EXPECT_TRUE(outcome.done) << line << outcome.code;
    EXPECT_EQ(outcome.body, "x") << line;
  }
}

struct Vector {
  std::string_view bytes;
  std::string_view code;
  std::string_view why;
};
constexpr Vector kBad[] = {
    {"\r\n", "bad_chunk_size", "no digit"},
    {"x\r\n", "bad_chunk_size", "no digit"},
    {"0x5\r\n", "bad_chunk_size", "RFC 9112, 7.1: HEXDIG only"},
    {"+5\r\n", "bad_chunk_size", "RFC 9112, 7.1"},
    {"-5\r\n", "bad_chunk_size", "RFC 9112, 7.1"},
    {" 5\r\n", "bad_chunk_size", "RFC 9112, 7.1"},
    {"5 \r\n", "bad_chunk_size", "white space only before an extension"},
    {"5 5\r\n", "bad_chunk_size", "RFC 9112, 7.1"},
    {"5_0\r\n", "bad_chunk_size", "RFC 9112, 7.1"},
    {"5,\r\n", "bad_chunk_size", "RFC 9112, 7.1"},
    {"00000000000000005\r\n", "bad_chunk_size", "17 digits"},
    {"8000000000000000\r\n", "bad_chunk_size", "overflow"},
    {"10000000000000005\r\n", "bad_chunk_size", "overflow"},
    {"5\nhello", "bare_lf", "RFC 9112, 2.2"},
    {"5\rhello", "bare_cr", "RFC 9112, 2.2"},
    {"5;a\nhello", "bare_lf", "an extension cut by LF"},
    {"5;a\rhello", "bare_cr", "an extension with CR"},
    {"5;a=\"\r\n\"", "bad_chunk_extension", "a line end inside quotes"},
    {"5;a=\"\\\r\n\"", "bad_chunk_extension", "an escaped line end"},
    {"5;a=\"\n\"", "bare_lf", "LF inside quotes"},
    {"5;\r\n", "bad_chunk_extension", "no name"},
    {"5;a=\r\n", "bad_chunk_extension", "no value"},
    {"5;a=b c\r\n", "bad_chunk_extension", "RFC 9112, 7.1.1"},
    {"5;a\x01\r\n", "bad_chunk_extension", "a control"},
    {"5;=b\r\n", "bad_chunk_extension", "no name"},
    {"1\r\nxy\r\n", "bad_chunk_end", "longer than its size"},
    {"1\r\nx\n", "bad_chunk_end", "RFC 9112, 2.2"},
    {"1\r\nx\r\r", "bad_chunk_end", "RFC 9112, 2.2"},
    {"1\r\nx0\r\n\r\n", "bad_chunk_end", "no line end after the data"},
    {"0\r\nA: b\n\r\n", "bare_lf", "RFC 9112, 2.2"},
    {"0\r\n\n", "bare_lf", "RFC 9112, 2.2"},
    {"0\r\nA : b\r\n", "space_before_colon", "RFC 9112, 5.1"},
    {"0\r\nA: b\r\n c\r\n", "obs_fold", "RFC 9112, 5.2"},
    {"0\r\nA\r\n", "bad_field_name", "RFC 9112, 5"},
    {"0\r\nA: \rb\r\n", "bad_field_value", "RFC 9110, 5.5"},
    {"0\r\nGET / HTTP/1.1\r\n", "bad_field_name", "a request where the end should be"},
};

TEST(ChunkedDecoder, BadFramingIsRefused) {
  for (const Vector& each : kBad) {
    Outcome outcome = decode_whole(each.bytes);
    EXPECT_EQ(outcome.code, each.code) << each.bytes << each.why;
    EXPECT_EQ(outcome.status, 400) << each.bytes << each.why;
    EXPECT_EQ(decode_whole(each.bytes, {}, Side::kResponse).status, 502) << each.bytes;
  }
}

// RFC 9110, section 6.5.1.
TEST(ChunkedDecoder, TrailersThatMayNotBeTrailersAreDropped) {
  Outcome outcome = decode_whole(
      "0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nHost: b\r\nAuthorization: "
      "x\r\nContent-Encoding: gzip\r\n"
      "content_length: 5\r\nX_Forwarded_For: 1\r\nIf-Match: x\r\nSet-Cookie: a=b\r\nTE: x\r\nConnection: "
      "close\r\n"
      "X-Consumer-Id: root\r\nContent-Range: x\r\nContent-Digest: d\r\nA_B: c\r\n\r\n");
  EXPECT_TRUE(outcome.done) << outcome.code;
  EXPECT_EQ(outcome.trailers, "Content-Digest=d;A_B=c;");
}

TEST(ChunkedDecoder, LimitsAreExact) {
  Limits limits;
  limits.chunk_line = 10;
  limits.trailer_bytes = 20;
  limits.request_fields = 2;
  EXPECT_TRUE(decode_whole("0;abcdef\r\n\r\n", limits).done);
  EXPECT_EQ(decode_whole("0;abcdefg\r\n\r\n", limits).code, "chunk_line_too_long");
  EXPECT_TRUE(decode_whole("0\r\nA: 4567890123456\r\n\r\n", limits).done);
  EXPECT_EQ(decode_whole("0\r\nA: 45678901234567\r\n\r\n", limits).status, 431);
  EXPECT_EQ(decode_whole("0\r\nA: 456789012345678901", limits).status, 431);
  EXPECT_EQ(decode_whole("0\r\nA:1\r\nB:2\r\nC:3\r\n\r\n", limits).status, 431);
}

TEST(ChunkedDecoder, ExtensionsWithoutDataAreBounded) {
  std::string chunk = "1;" + std::string(200, 'e') + "\r\nx\r\n";
  std::string bytes;
  for (int i = 0; i < 80; ++i) bytes += chunk;
  EXPECT_EQ(decode_whole(bytes).body.size(), 80u);
  for (int i = 0; i < 20; ++i) bytes += chunk;
  EXPECT_EQ(decode_whole(bytes).code, "chunk_overhead");
  std::string plain;
  for (int i = 0; i < 20000; ++i) plain += "1;a=b\r\nx\r\n";
  EXPECT_EQ(decode_whole(plain).body.size(), 20000u);
}

TEST(ChunkedDecoder, SplittingChangesNothing) {
  constexpr std::string_view kGood[] = {"5\r\nhello\r\n", "1;a=\"b\"\r\nx\r\n", "0\r\n\r\n",
                                        "0\r\nA: b\r\nX-Long: value here\r\n\r\n",
                                        "00f\r\n0123456789abcde\r\n"};
  constexpr std::string_view kOdd[] = {"\r\n", "\n", "\r", "0", "5", ";", "a", "\"", " ", ":", "\x01"};
  Random random(3);
  Limits limits;
  limits.chunk_line = 12;
  limits.trailer_bytes = 40;
  int done = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string bytes;
    for (uint64_t n = random.below(8) + 1; n > 0; --n)
      bytes += random.below(8) ? kGood[random.below(std::size(kGood))] : kOdd[random.below(std::size(kOdd))];
    Outcome whole = decode_whole(bytes, limits);
    done += whole.done;
    EXPECT_EQ(decode(bytes, [] { return size_t{1}; }, limits), whole) << bytes;
    EXPECT_EQ(decode(bytes, [&] { return random.below(7) + 1; }, limits), whole) << bytes;
  }
  EXPECT_GT(done, 5000);
}

}  // namespace
}  // namespace sluice::http::h1
