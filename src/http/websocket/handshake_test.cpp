#include "http/websocket/handshake.h"

#include <gtest/gtest.h>

namespace sluice::http::websocket {
namespace {

constexpr std::string_view kSampleKey = "dGhlIHNhbXBsZSBub25jZQ==";
constexpr std::string_view kSampleAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

// RFC 6455, section 1.3.
TEST(WebSocketHandshake, AcceptOfTheRfcsKey) {
  Accept accept = accept_of(kSampleKey);
  EXPECT_EQ(std::string_view(accept.data(), accept.size()), kSampleAccept);
}

TEST(WebSocketHandshake, KeysAreTakenAsSixteenBytesOfBase64) {
  struct Row {
    std::string_view key;
    bool good;
  };
  for (const Row& row : {Row{kSampleKey, true},
                         {"AAAAAAAAAAAAAAAAAAAAAA==", true},
                         {"", false},
                         {"dGhlIHNhbXBsZSBub25jZQ", false},
                         {"dGhlIHNhbXBsZSBub25jZWE=", false},
                         {"dGhlIHNhbXBsZSBub25jZ!==", false},
                         {"dGhlIHNhbXBsZSBub25j====", false}}) {
    Arena arena;
    Request request(arena);
    request.fields.add(kVersionField, "13");
    if (!row.key.empty()) request.fields.add(kKeyField, row.key);
    EXPECT_EQ(check_request(request, true), row.good ? nullptr : &kKeyError) << row.key;
    EXPECT_EQ(check_request(request, false), nullptr);
  }
}

// RFC 6455, section 4.4.
TEST(WebSocketHandshake, OnlyVersionThirteenIsSpoken) {
  for (std::string_view version : {"12", "8", "13, 8", "", "013"}) {
    Arena arena;
    Request request(arena);
    request.fields.add(kKeyField, kSampleKey);
    if (!version.empty()) request.fields.add(kVersionField, version);
    EXPECT_EQ(check_request(request, true), &kVersionError) << version;
  }
}

// RFC 6455, section 4.1, what a client checks of the answer.
TEST(WebSocketHandshake, AnswersThatDoNotFitAreNoAgreement) {
  struct Row {
    std::string_view accept;
    std::string_view protocol;
    bool good;
  };
  for (const Row& row : {Row{kSampleAccept, "", true},
                         {kSampleAccept, "chat", true},
                         {kSampleAccept, "v2", true},
                         {kSampleAccept, "other", false},
                         {kSampleAccept, "chat, v2", false},
                         {"", "", false},
                         {"s3pPLMBiTxaQ9kYGzzhZRbK+xOO=", "", false},
                         {"S3PPLMBITXAQ9KYGZZHZRBK+XOO=", "", false}}) {
    Arena arena;
    Request request(arena);
    request.fields.add(kProtocolField, "soap, chat");
    request.fields.add(kProtocolField, "v2");
    Response response(arena);
    if (!row.accept.empty()) response.fields.add(kAcceptField, row.accept);
    if (!row.protocol.empty()) response.fields.add(kProtocolField, row.protocol);
    EXPECT_EQ(agrees(response, kSampleKey, request), row.good) << row.accept << row.protocol;
  }
}

// RFC 6455, section 9.1: what was not offered cannot be chosen.
TEST(WebSocketHandshake, ExtensionsMustHaveBeenOffered) {
  struct Row {
    std::string_view offered;
    std::string_view chosen;
    bool good;
    bool compresses;
  };
  for (const Row& row : {Row{"permessage-deflate; client_max_window_bits, x",
                             "permessage-deflate; server_no_context_takeover", true, true},
                         {"x, permessage-deflate", "x", true, false},
                         {"permessage-deflate", "", true, false},
                         {"x", "permessage-deflate", false, true},
                         {"", "permessage-deflate", false, true}}) {
    Arena arena;
    Request request(arena);
    if (!row.offered.empty()) request.fields.add(kExtensionsField, row.offered);
    Response response(arena);
    response.fields.add(kAcceptField, kSampleAccept);
    if (!row.chosen.empty()) response.fields.add(kExtensionsField, row.chosen);
    EXPECT_EQ(agrees(response, kSampleKey, request), row.good) << row.offered << " | " << row.chosen;
    EXPECT_EQ(compresses(response), row.compresses) << row.chosen;
  }
}

TEST(WebSocketHandshake, KeysMadeAreKeysAndDiffer) {
  Random random(1);
  Key first = make_key(random);
  Key second = make_key(random);
  EXPECT_NE(first, second);
  Arena arena;
  Request request(arena);
  request.fields.add(kVersionField, "13");
  request.fields.add(kKeyField, std::string_view(first.data(), first.size()));
  EXPECT_EQ(check_request(request, true), nullptr);
}

}  // namespace
}  // namespace sluice::http::websocket
