#include "http/grpc_status.h"

#include <gtest/gtest.h>

namespace sluice::http {
namespace {

TEST(GrpcStatus, GrpcContentTypesAreToldFromGrpcWebs) {
  for (std::string_view yes : {"application/grpc", "application/grpc+proto", "Application/GRPC",
                               "application/grpc;charset=utf-8", "application/grpc ; a=b"})
    EXPECT_TRUE(is_grpc_content_type(yes)) << yes;
  for (std::string_view no : {"", "application/grp", "application/grpc-web", "application/grpc-web+proto",
                              "application/grpc-web-text", "application/grpcx", "application/json"})
    EXPECT_FALSE(is_grpc_content_type(no)) << no;
}

TEST(GrpcStatus, GrpcWebsContentTypesAreKnown) {
  for (std::string_view yes :
       {"application/grpc-web", "application/grpc-web+proto", "application/grpc-web-text;q=1"})
    EXPECT_TRUE(is_grpc_web_content_type(yes)) << yes;
  for (std::string_view no : {"application/grpc", "application/grpc-webx", "application/grpc-web-textile"})
    EXPECT_FALSE(is_grpc_web_content_type(no)) << no;
}

TEST(GrpcStatus, NumbersAreReadAndWritten) {
  for (int i = 0; i < kGrpcStatuses; ++i) {
    auto status = static_cast<GrpcStatus>(i);
    EXPECT_EQ(grpc_status_text(status), std::to_string(i));
    EXPECT_EQ(parse_grpc_status(std::to_string(i)), status);
    EXPECT_EQ(parse_grpc_status_code(grpc_status_code(status)), status);
  }
  EXPECT_EQ(parse_grpc_status("17"), GrpcStatus::kUnknown);
  for (std::string_view no : {"", "-1", "x", "1 ", "0x1"}) EXPECT_FALSE(parse_grpc_status(no)) << no;
}

// Contract, section 3 "Errors".
TEST(GrpcStatus, RefusalsBecomeTheContractsCodes) {
  for (auto [http, grpc] : {std::pair{400, 3},
                            {401, 16},
                            {403, 7},
                            {404, 12},
                            {413, 8},
                            {429, 8},
                            {502, 14},
                            {503, 14},
                            {504, 4}})
    EXPECT_EQ(grpc_status_of_http(static_cast<uint16_t>(http)), static_cast<GrpcStatus>(grpc)) << http;
}

// grpc/doc/http-grpc-status-mapping.md
TEST(GrpcStatus, ForeignAnswersBecomeTheStatusesThatClientsMakeOfThem) {
  for (auto [http, grpc] : {std::pair{400, 13},
                            {401, 16},
                            {403, 7},
                            {404, 12},
                            {429, 14},
                            {502, 14},
                            {503, 14},
                            {504, 14},
                            {200, 2},
                            {302, 2},
                            {500, 2}})
    EXPECT_EQ(grpc_status_of_foreign(static_cast<uint16_t>(http)), static_cast<GrpcStatus>(grpc)) << http;
}

// google/rpc/code.proto
TEST(GrpcStatus, CodesBecomeGooglesHttpStatuses) {
  for (auto [grpc, http] : {std::pair{0, 200},
                            {1, 499},
                            {2, 500},
                            {3, 400},
                            {4, 504},
                            {5, 404},
                            {6, 409},
                            {7, 403},
                            {8, 429},
                            {9, 400},
                            {10, 409},
                            {11, 400},
                            {12, 501},
                            {13, 500},
                            {14, 503},
                            {15, 500},
                            {16, 401}})
    EXPECT_EQ(http_status_of_grpc(static_cast<GrpcStatus>(grpc)), http) << grpc;
}

TEST(GrpcStatus, MessagesTravelPercentEncoded) {
  Arena arena;
  for (auto [plain, encoded] : {std::pair<std::string_view, std::string_view>{"", ""},
                                {"no such user", "no such user"},
                                {"100%", "100%25"},
                                {"a\nb\x7f", "a%0Ab%7F"},
                                {"\xc3\xa4", "%C3%A4"}}) {
    EXPECT_EQ(encode_grpc_message(plain, arena), encoded);
    EXPECT_EQ(decode_grpc_message(encoded, arena), plain);
  }
  EXPECT_EQ(decode_grpc_message("%", arena), "%");
  EXPECT_EQ(decode_grpc_message("%4", arena), "%4");
  EXPECT_EQ(decode_grpc_message("%zz%41", arena), "%zzA");
}

}  // namespace
}  // namespace sluice::http
