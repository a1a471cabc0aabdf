#include "policies/policy_test_fixture.h"

namespace sluice::policies::testing {
namespace {

class WebSocketTest : public PolicyTest {
 protected:
  Answer open(std::string_view fields) {
    return get("/", std::string("Connection: Upgrade\r\nUpgrade: websocket\r\n") + std::string(fields));
  }
};

// RFC 6454, section 6.2: an origin is scheme, host and port.
TEST_F(WebSocketTest, OriginsAreComparedWhole) {
  struct Case {
    std::string_view origin;
    bool welcome;
  };
  const Case cases[] = {
      {"Origin: https://shop.example\r\n", true},
      {"Origin: HTTPS://Shop.Example\r\n", true},
      {"Origin: http://shop.example\r\n", false},
      {"Origin: https://shop.example:8443\r\n", false},
      {"Origin: https://shop.example.evil.test\r\n", false},
      {"Origin: https://a.partner.example\r\n", true},
      {"Origin: https://a.b.partner.example\r\n", true},
      {"Origin: https://partner.example\r\n", false},
      {"Origin: https://.partner.example\r\n", false},
      {"Origin: https://evilpartner.example\r\n", false},
      {"Origin: null\r\n", false},
      {"Origin: \r\n", false},
      {"", true},
  };
  start(chain("{ websocket: { origins: [ \"https://shop.example\", \"https://*.Partner.example\" ] } }"));
  for (const Case& each : cases) {
    Answer answer = open(each.origin);
    EXPECT_EQ(answer.status, each.welcome ? 200 : 403) << each.origin;
    if (!each.welcome) EXPECT_EQ(answer.code(), "websocket_origin") << each.origin;
  }
  EXPECT_EQ(get("/", "Origin: https://evil.test\r\n").status, 200) << "no WebSocket, no business of ours";
  EXPECT_EQ(metric("sluice_limited_total{policy=\"websocket\"}"), "8");
}

TEST_F(WebSocketTest, ExtensionsAreTakenOutUnlessCompressionIsAllowed) {
  constexpr std::string_view kOffer = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
  start(chain("{ websocket: {} }"));
  EXPECT_EQ(open(kOffer).body.find("Extensions"), std::string::npos);
  reload(chain("{ websocket: { compression: true } }"));
  EXPECT_NE(open(kOffer).body.find("permessage-deflate"), std::string::npos);
}

TEST_F(WebSocketTest, WhatIsNoOriginIsRefused) {
  for (std::string_view bad : {"shop.example", "https://", "https://shop.example/", "://shop.example", "*"}) {
    EXPECT_FALSE(compile(chain("{ websocket: { origins: [ \"" + std::string(bad) + "\" ] } }"))) << bad;
    EXPECT_NE(problems.find("is no origin"), std::string::npos) << problems;
  }
}

}  // namespace
}  // namespace sluice::policies::testing
