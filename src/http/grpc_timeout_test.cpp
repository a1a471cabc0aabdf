#include "http/grpc_timeout.h"

#include <gtest/gtest.h>

namespace sluice::http {
namespace {

using namespace std::chrono_literals;

// gRPC over HTTP/2: Timeout → "grpc-timeout" TimeoutValue TimeoutUnit, at most eight digits.
TEST(GrpcTimeout, IsDigitsAndAUnit) {
  for (auto [text, means] : {std::pair<std::string_view, Duration>{"1H", 1h},
                             {"2M", 2min},
                             {"3S", 3s},
                             {"100m", 100ms},
                             {"00000007u", 7us},
                             {"0n", 0ns},
                             {"99999999n", 99'999'999ns}})
    EXPECT_EQ(parse_grpc_timeout(text), means) << text;
  EXPECT_EQ(parse_grpc_timeout("99999999H"), Duration::max());
  for (std::string_view no : {"", "1", "S", "1s", "1 S", "-1S", "1.5S", "123456789m", "1x", " 1S"})
    EXPECT_FALSE(parse_grpc_timeout(no)) << no;
}

TEST(GrpcTimeout, IsWrittenAsExactlyAsEightDigitsAllow) {
  Arena arena;
  for (auto [left, text] : {std::pair<Duration, std::string_view>{1s, "1000000u"},
                            {1500ns, "1u"},
                            {0ns, "1u"},
                            {-5s, "1u"},
                            {99'999'999us, "99999999u"},
                            {100s, "100000m"},
                            {30h, "108000S"},
                            {Duration::max(), "2562047H"}})
    EXPECT_EQ(write_grpc_timeout(left, arena), text);
}

}  // namespace
}  // namespace sluice::http
