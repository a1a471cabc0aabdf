#include "http/h1/head_scanner.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace sluice::http::h1 {
namespace {

struct Outcome {
  bool complete = false;
  size_t used = 0;  // of all bytes
  size_t skip = 0;
  uint16_t status = 0;
  std::string_view code = {};
  bool operator==(const Outcome&) const = default;
};

/// Feeds `bytes` in pieces whose sizes `next_size()` tells.
template <class NextSize>
Outcome scan(std::string_view bytes, Side side, const Limits& limits, NextSize next_size) {
  HeadScanner scanner(side, limits);
  Outcome outcome;
  while (!bytes.empty()) {
    std::string_view piece = bytes.substr(0, next_size());
    auto progress = scanner.feed(piece);
    if (!progress) return {false, 0, 0, progress.error().status, progress.error().code};
    outcome.complete = progress->complete;
    outcome.used += progress->used;
    outcome.skip = progress->skip;
    if (outcome.complete) return outcome;
    bytes.remove_prefix(piece.size());
  }
  return outcome;
}

Outcome scan_whole(std::string_view bytes, Side side = Side::kRequest, const Limits& limits = {}) {
  return scan(bytes, side, limits, [&] { return bytes.size(); });
}

TEST(HeadScanner, EndsAtTheEmptyLine) {
  EXPECT_EQ(scan_whole("GET / HTTP/1.1\r\nA: b\r\n\r\nGET"), (Outcome{true, 24, 0}));
  EXPECT_EQ(scan_whole("GET / HTTP/1.1\r\n\r\n"), (Outcome{true, 18, 0}));
  EXPECT_FALSE(scan_whole("GET / HTTP/1.1\r\nA: b\r\n\r").complete);
}

// RFC 9112, section 2.2; contract, "Strictness": one leading CRLF is accepted.
TEST(HeadScanner, OneLeadingCrlfIsSkippedBeforeARequest) {
  EXPECT_EQ(scan_whole("\r\nGET / HTTP/1.1\r\n\r\n"), (Outcome{true, 20, 2}));
  EXPECT_EQ(scan_whole("\r\n\r\nGET / HTTP/1.1\r\n\r\n").code, "bad_start_line");
  EXPECT_EQ(scan_whole("\nGET / HTTP/1.1\r\n\r\n").code, "bare_lf");
  EXPECT_EQ(scan_whole("\rGET / HTTP/1.1\r\n\r\n").code, "bare_cr");
  EXPECT_EQ(scan_whole("\r\nHTTP/1.1 200 OK\r\n\r\n", Side::kResponse).status, 502);
}

TEST(HeadScanner, IsIdleUntilTheFirstByte) {
  HeadScanner scanner(Side::kRequest, {});
  EXPECT_TRUE(scanner.idle());
  ASSERT_TRUE(scanner.feed("\r"));
  EXPECT_FALSE(scanner.idle());
  scanner.reset();
  EXPECT_TRUE(scanner.idle());
}

// RFC 9112, section 2.2: a bare CR makes the element invalid; a bare LF may be refused, and is.
TEST(HeadScanner, BareLineEndsAreRefusedAtOnce) {
  EXPECT_EQ(scan_whole("GET / HTTP/1.1\n").code, "bare_lf");
  EXPECT_EQ(scan_whole("GET / HTTP/1.1\r\nA: b\n").code, "bare_lf");
  EXPECT_EQ(scan_whole("GET / HTTP/1.1\r\nA: b\rc").code, "bare_cr");
  EXPECT_EQ(scan_whole("GET / HTTP/1.1\r\r").code, "bare_cr");
  EXPECT_EQ(scan_whole("GET / HTTP/1.1\r\n\n").code, "bare_lf");
  EXPECT_EQ(scan_whole("GET / HTTP/1.1\r\n\rX").code, "bare_cr");
}

TEST(HeadScanner, OtherProtocolsAreRefusedAtTheirFirstByte) {
  EXPECT_EQ(scan_whole("\x16").code, "bad_start_line");  // a TLS handshake
  EXPECT_EQ(scan_whole(std::string_view("\0", 1)).code, "bad_start_line");
  EXPECT_EQ(scan_whole(" GET").code, "bad_start_line");
}

TEST(HeadScanner, LimitsAreExact) {
  Limits limits;
  limits.request_head = 200;
  limits.request_target = 50;
  auto head = [](size_t bytes) { return "G / HTTP/1.1\r\n" + std::string(bytes - 18, 'a') + "\r\n\r\n"; };
  EXPECT_TRUE(scan_whole(head(200), Side::kRequest, limits).complete);
  EXPECT_EQ(scan_whole(head(201), Side::kRequest, limits).status, 431);
  EXPECT_EQ(scan_whole("GET /" + std::string(108, 'a') + "\r", Side::kRequest, limits).status, 0);
  EXPECT_EQ(scan_whole("GET /" + std::string(109, 'a') + "\r\n", Side::kRequest, limits).status, 414);
  limits.response_head = 100;
  EXPECT_EQ(scan_whole(head(101), Side::kResponse, limits).status, 502);
}

TEST(HeadScanner, SplittingChangesNothing) {
  constexpr std::string_view kPieces[] = {"\r\n", "\r\n", "\r\n", "\r", "\n", "GET / HTTP/1.1", "a: b", "x"};
  Random random(7);
  Limits limits;
  limits.request_head = 150;
  limits.request_target = 1;
  for (int i = 0; i < 20000; ++i) {
    std::string bytes = random.below(4) ? "" : "\r\n";
    for (uint64_t n = random.below(12) + 1; n > 0; --n) {
      bytes += kPieces[random.below(random.below(3) ? 3 : std::size(kPieces))];
      bytes += std::string(random.below(60), 'h');
    }
    Outcome whole = scan_whole(bytes, Side::kRequest, limits);
    EXPECT_EQ(scan(bytes, Side::kRequest, limits, [] { return size_t{1}; }), whole) << bytes;
    EXPECT_EQ(scan(bytes, Side::kRequest, limits, [&] { return random.below(9) + 1; }), whole) << bytes;
    EXPECT_EQ(scan(bytes, Side::kRequest, limits, [&] { return random.below(90) + 1; }), whole) << bytes;
  }
}

}  // namespace
}  // namespace sluice::http::h1
