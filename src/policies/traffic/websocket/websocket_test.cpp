#include "policies/policy_test_fixture.h"

namespace sluice::policies::testing {
namespace {

constexpr std::string_view kUpgrade =
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// How it begins; what it carries is tested where it is carried (handlers/proxy/websocket_tunnel_test.cpp).
class WebSocketPolicy : public PolicyTest {
 protected:
  Answer open(std::string_view fields) { return get("/", std::string(kUpgrade) + std::string(fields)); }
};

// RFC 6455, section 10.2: browsers say whose page it is; others say nothing.
TEST_F(WebSocketPolicy, ForeignPagesAreRefused) {
  start(chain("{ websocket: { origins: [ \"https://shop.example\", \"https://*.partner.test\" ] } }"));
  EXPECT_EQ(open("").status, 200);
  EXPECT_EQ(open("Origin: https://shop.example\r\n").status, 200);
  EXPECT_EQ(open("Origin: https://a.partner.test\r\n").status, 200);
  Answer refused = open("origin: https://evil.test\r\n");
  EXPECT_EQ(refused.status, 403);
  EXPECT_EQ(refused.code(), "websocket_origin");
  EXPECT_EQ(open("Origin: null\r\n").status, 403);
  EXPECT_EQ(open("Origin: https://shop.example\r\nOrigin: https://shop.example\r\n").status, 403)
      << "twice is no browser's";
  EXPECT_EQ(get("/", "Origin: https://evil.test\r\n").status, 200) << "no WebSocket";
  EXPECT_EQ(metric("sluice_refused_total{code=\"websocket_origin\"}"), "3");
  EXPECT_EQ(metric("sluice_limited_total{policy=\"websocket\"}"), "3");
}

TEST_F(WebSocketPolicy, ADryRunRefusesNobody) {
  start(chain("{ websocket: { origins: [ \"https://shop.example\" ], dry_run: true } }"));
  EXPECT_EQ(open("Origin: https://evil.test\r\n").status, 200);
  EXPECT_NE(access_log().find("\"dry_run\":\"websocket_origin\""), std::string::npos);
}

// What is compressed cannot be looked into: it is not agreed on unless that is wanted.
TEST_F(WebSocketPolicy, CompressionIsNotOfferedToTheUpstream) {
  constexpr std::string_view kOffer = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
  constexpr std::string_view kSeen = "Sec-WebSocket-Extensions: permessage-deflate";
  start(chain("{ websocket: {} }"));
  EXPECT_FALSE(open(kOffer).has_line(kSeen));
  EXPECT_TRUE(get("/", kOffer).has_line(kSeen)) << "no WebSocket";
  reload(chain("{ websocket: { compression: true } }"));
  EXPECT_TRUE(open(kOffer).has_line(kSeen));
  reload(chain("{ websocket: { dry_run: true } }"));
  EXPECT_TRUE(open(kOffer).has_line(kSeen));
}

TEST_F(WebSocketPolicy, RefusesWhatIsNoLimit) {
  for (std::string_view config :
       {"{ max_message: 0 }", "{ max_message: big }", "{ rate: 20 }", "{ rate: 0/1s }", "{ idle: 1 }",
        "{ origins: [ shop.example ] }", "{ origins: [ \"https://shop.example/\" ] }",
        "{ origins: [ \"*\" ] }", "{ upstream: { max_message: 1 } }", "{ max_size: 1 }"})
    EXPECT_FALSE(compile(chain("{ websocket: " + std::string(config) + " }"))) << config;
  EXPECT_TRUE(compile(chain("{ websocket: { max_message: 64KiB, rate: 20/1s } }"))) << problems;
}

}  // namespace
}  // namespace sluice::policies::testing
