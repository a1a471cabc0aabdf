#include "http/grpc_frame.h"

#include <gtest/gtest.h>

#include <vector>

namespace sluice::http {
namespace {

std::string framed(std::string_view message, uint8_t flags = 0) {
  auto prefix = grpc_prefix(static_cast<uint32_t>(message.size()), flags);
  return std::string(prefix.data(), prefix.size()).append(message);
}

TEST(GrpcFrame, ThePrefixIsFlagsAndABigEndianLength) {
  EXPECT_EQ(framed("abc"), std::string("\0\0\0\0\3abc", 8));
  auto prefix = grpc_prefix(0x01020304, kGrpcWebTrailers);
  EXPECT_EQ(std::string(prefix.data(), prefix.size()), "\x80\x01\x02\x03\x04");
}

TEST(GrpcFrame, MessagesAreReadHoweverTheBytesAreCut) {
  std::string wire = framed("") + framed("one") + framed(std::string(300, 'x'), 1) + framed("last", 0x80);
  for (size_t piece = 1; piece <= wire.size(); ++piece) {
    GrpcFrameReader reader(1000);
    std::vector<std::pair<int, std::string>> seen;
    for (size_t at = 0; at < wire.size(); at += piece) {
      std::string_view bytes = std::string_view(wire).substr(at, piece);
      while (!bytes.empty()) {
        auto frame = reader.next(bytes);
        ASSERT_TRUE(frame);
        if (*frame) seen.emplace_back((*frame)->flags, (*frame)->message);
      }
    }
    EXPECT_TRUE(reader.between_messages());
    std::vector<std::pair<int, std::string>> sent{
        {0, ""}, {0, "one"}, {1, std::string(300, 'x')}, {0x80, "last"}};
    EXPECT_EQ(seen, sent) << piece;
  }
}

TEST(GrpcFrame, AnUnfinishedMessageIsSeen) {
  GrpcFrameReader reader(1000);
  EXPECT_TRUE(reader.between_messages());
  std::string_view bytes("\0", 1);
  EXPECT_FALSE(*reader.next(bytes));
  EXPECT_FALSE(reader.between_messages());
  bytes = std::string_view("\0\0\0\2a", 5);
  EXPECT_FALSE(*reader.next(bytes));
  EXPECT_FALSE(reader.between_messages());
}

TEST(GrpcFrame, ALengthBeyondTheBoundIsRefusedBeforeTheMessageComes) {
  GrpcFrameReader reader(4);
  std::string good = framed("1234");
  std::string_view bytes = good;
  EXPECT_TRUE(*reader.next(bytes));
  bytes = std::string_view("\0\0\0\0\5", 5);
  auto frame = reader.next(bytes);
  ASSERT_FALSE(frame);
  EXPECT_EQ(frame.error().status, 413);
}

TEST(GrpcFrame, AMeterStopsBeforeALargeMessageHoweverTheBytesAreCut) {
  std::string good = framed("") + framed("1234", 1) + framed("abc");
  std::string wire = good + framed("12345") + framed("x");
  for (size_t piece = 1; piece <= wire.size(); ++piece) {
    GrpcMessageMeter meter(4);
    size_t passed = 0;
    bool stopped = false;
    for (size_t at = 0; at < wire.size() && !stopped; at += piece) {
      std::string_view bytes = std::string_view(wire).substr(at, piece);
      size_t allowed = meter.pass(bytes);
      stopped = allowed < bytes.size();
      passed += allowed;
    }
    EXPECT_TRUE(stopped) << piece;
    EXPECT_GE(passed, good.size()) << piece;
    EXPECT_LT(passed, good.size() + kGrpcPrefixBytes) << piece;
  }
  GrpcMessageMeter meter(5);
  EXPECT_EQ(meter.pass(wire), wire.size());
}

}  // namespace
}  // namespace sluice::http
