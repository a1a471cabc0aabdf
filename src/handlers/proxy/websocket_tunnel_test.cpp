// WebSockets through the whole gateway: what the policy demands, and what is counted and logged of them.
#include "handlers/handler_test_fixture.h"
#include "http/websocket/close.h"
#include "http/websocket/frame_reader.h"

namespace sluice::handlers::testing {
namespace {

using http::websocket::Opcode;

std::string frame(Opcode opcode, std::string_view payload, bool masked, int reserved = 0) {
  http::websocket::FrameHead head{.reserved = static_cast<uint8_t>(reserved),
                                  .opcode = opcode,
                                  .masked = masked,
                                  .mask = {'m', 'a', 's', 'k'},
                                  .length = payload.size()};
  std::array<char, http::websocket::kMaxHeadBytes> bytes;
  std::string text(bytes.data(), http::websocket::write_frame_head(head, bytes));
  std::string body(payload);
  if (masked) http::websocket::apply_mask(body, head.mask, 0);
  return text + body;
}
std::string goodbye(std::string_view code, bool masked) { return frame(Opcode::kClose, code, masked); }
constexpr std::string_view kBye = "\x03\xe8";  // 1000

class WebSocketTunnelTest : public HandlerTest {
 protected:
  /// `policy`: configurations of `websocket`, separated by " + ".
  static std::string limited(std::string_view policy, std::string_view more = {}) {
    std::string list = "policies: [";
    for (size_t number = 0; !policy.empty(); ++number) {
      size_t end = std::min(policy.find(" + "), policy.size());
      list += "{ websocket: { id: w" + std::to_string(number) + ", " + std::string(policy.substr(0, end)) +
              " } },";
      policy.remove_prefix(std::min(end + 3, policy.size()));
    }
    return proxying({9000}, {}, list + std::string(more) + "]");
  }
  /// A client and an upstream that have shaken hands.
  struct Pair {
    Pair(WebSocketTunnelTest& test, std::string_view fields = {}, std::string_view answer_fields = {})
        : upstream(test.world, test.upstream_loop, target(9000),
                   [answer = std::string(answer_fields)](UpstreamPeer& peer) {
                     if (!peer.received.ends_with("\r\n\r\n")) return;
                     peer.received.clear();
                     peer.send(
                         "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                         "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" +
                         answer + "\r\n");
                   }),
          client(test.world, test.client_loop, test.address) {
      client.send(request("GET", "/",
                          "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
                              std::string(fields)));
      test.world.run_until([&] { return client.raw().received.find("\r\n\r\n") != std::string::npos; });
      EXPECT_TRUE(client.raw().received.starts_with("HTTP/1.1 101 ")) << client.raw().received;
      client.raw().received.clear();
    }
    UpstreamPeer& server() { return upstream.peer(0); }
    const std::string& seen() { return client.raw().received; }

    ScriptedUpstream upstream;
    Client client;
  };
  /// The code of the close frame that a side has got; 0: none.
  static int told(std::string_view received) {
    http::websocket::FrameReader reader;
    while (!received.empty()) {
      auto event = reader.next(received);
      if (event != http::websocket::FrameReader::Event::kPayload || reader.head().opcode != Opcode::kClose)
        continue;
      std::string payload(reader.payload());
      http::websocket::apply_mask(payload, reader.head().mask, 0);
      return static_cast<uint8_t>(payload[0]) << 8 | static_cast<uint8_t>(payload[1]);
    }
    return 0;
  }
  static int told_client(Pair& pair) { return told(pair.seen()); }
  static int told_upstream(Pair& pair) { return told(pair.server().received); }
  void wait(Duration time = 1s) { world.run_for(time); }
  std::string ended(std::string_view how) {
    return metric("sluice_websockets_ended_total{how=\"" + std::string(how) + "\"}");
  }
  bool logged(std::string_view text) { return access_log().find(text) != std::string::npos; }
};

TEST_F(WebSocketTunnelTest, WithoutThePolicyNothingIsLookedAt) {
  start(proxying({9000}));
  Pair pair(*this);
  std::string odd = frame(Opcode::kText, "\xff", true, 7);
  pair.client.send(odd);
  wait();
  EXPECT_EQ(pair.server().received, odd);
  pair.server().send(goodbye("\x10\x92", false));
  wait();
  EXPECT_EQ(told_client(pair), 4242);
  pair.client.raw().end();
  pair.server().end();
  wait(10s);
  EXPECT_TRUE(logged("\"status\":101,\"close_code\":4242"));
  EXPECT_EQ(metric("sluice_websocket_messages_total{direction=\"received\"}"), "1");
  EXPECT_EQ(metric("sluice_websocket_closes_total{code=\"4xxx\"}"), "1");
}

// RFC 6455, section 7.4.1.
TEST_F(WebSocketTunnelTest, EachRuleHasItsCode) {
  struct Row {
    std::string_view rules;
    std::string client;
    std::string upstream;
    int client_code;
    int upstream_code;
    std::string_view how;
    std::string_view log;
  };
  std::string three_pings;
  for (int i = 0; i < 3; ++i) three_pings += frame(Opcode::kPing, "", true);
  for (const Row& row :
       {Row{"max_message: 10", frame(Opcode::kBinary, "0123456789a", true), "", 1009, 1001, "message_size",
            R"("error_by":"client","error_code":"websocket_message_size","close_code":1009)"},
        {"rate: 2/1m", three_pings, "", 1008, 1001, "message_rate",
         R"("error_by":"client","error_code":"websocket_message_rate","close_code":1008)"},
        {"max_age: 1h", frame(Opcode::kText, "", false), "", 1002, 1001, "protocol",
         R"("error_by":"client","error_code":"websocket_protocol","close_code":1002)"},
        {"max_upstream_message: 2", "", frame(Opcode::kBinary, "012", false), 1001, 1009,
         "upstream_message_size",
         R"("error_by":"upstream","error_code":"websocket_message_size","close_code":1009)"},
        {"upstream_rate: 1/1m", "", frame(Opcode::kText, "", false) + frame(Opcode::kText, "", false), 1001,
         1008, "upstream_message_rate", R"("error_code":"websocket_message_rate","close_code":1008)"},
        {"max_message: 10", "", frame(Opcode::kText, "", true), 1001, 1002, "upstream_protocol",
         R"("error_by":"upstream","error_code":"websocket_protocol","close_code":1002)"},
        {"idle: 10s", "", "", 1001, 1001, "idle",
         R"("error_by":"gateway","error_code":"websocket_idle","close_code":1001)"},
        {"max_age: 12s", "", "", 1001, 1001, "max_age",
         R"("error_by":"gateway","error_code":"websocket_max_age","close_code":1001)"}}) {
    if (workers.empty())
      start(limited(row.rules));
    else
      reload(limited(row.rules));
    Pair pair(*this);
    if (!row.client.empty()) pair.client.send(row.client);
    if (!row.upstream.empty()) pair.server().send(row.upstream);
    wait(14s);
    EXPECT_EQ(told_client(pair), row.client_code) << row.rules;
    EXPECT_EQ(told_upstream(pair), row.upstream_code) << row.rules;
    wait(5s);
    EXPECT_TRUE(pair.client.ended()) << row.rules;
    EXPECT_EQ(ended(row.how), "1") << row.rules;
    EXPECT_TRUE(logged(row.log)) << row.log << "\n" << access_log();
  }
  EXPECT_EQ(metric("sluice_limited_total{policy=\"w0\"}"), "8");
}

TEST_F(WebSocketTunnelTest, WhatIsWithinTheLimitsPasses) {
  start(limited("max_message: 10, rate: 2/1s, max_upstream_message: 3"));
  Pair pair(*this);
  std::string up = frame(Opcode::kBinary, "0123456789", true);
  for (int i = 0; i < 6; ++i) {
    pair.client.send(up);
    pair.server().send(frame(Opcode::kText, "abc", false));
    wait(500ms);
  }
  pair.client.send(goodbye(kBye, true));
  wait();
  pair.server().send(goodbye(kBye, false));
  wait();
  EXPECT_EQ(told_client(pair), 1000);
  pair.client.raw().end();
  pair.server().end();
  wait(10s);
  EXPECT_EQ(ended("client"), "1");
  EXPECT_EQ(metric("sluice_websocket_messages_total{direction=\"received\"}"), "6");
  EXPECT_EQ(metric("sluice_websocket_messages_total{direction=\"sent\"}"), "6");
  EXPECT_EQ(metric("sluice_websocket_closes_total{code=\"1000\"}"), "1");
}

TEST_F(WebSocketTunnelTest, OfSeveralPoliciesTheSmallerLimitHolds) {
  for (std::string_view rules : {"max_message: 5 + max_message: 10", "max_message: 10 + max_message: 5",
                                 "max_message: 5 + idle: 1h"}) {
    if (workers.empty())
      start(limited(rules));
    else
      reload(limited(rules));
    Pair pair(*this);
    pair.client.send(frame(Opcode::kBinary, "01234", true));
    wait();
    EXPECT_EQ(told_client(pair), 0) << rules;
    pair.client.send(frame(Opcode::kBinary, "012345", true));
    wait();
    EXPECT_EQ(told_client(pair), 1009) << rules;
  }
}

TEST_F(WebSocketTunnelTest, ADryRunLetsAllPassAndSaysWhatItFound) {
  start(limited("max_message: 3, idle: 1s, max_age: 2s, dry_run: true"));
  Pair pair(*this);
  std::string sent = frame(Opcode::kBinary, "01234", true) + frame(static_cast<Opcode>(5), "", true);
  pair.client.send(sent);
  wait(60s);
  EXPECT_EQ(pair.server().received, sent);
  EXPECT_EQ(told_client(pair), 0);
  pair.client.raw().vanish();
  pair.server().end();
  wait(10s);
  EXPECT_EQ(metric("sluice_refused_total{code=\"dry_run\"}"), "1");
  EXPECT_TRUE(logged("\"dry_run\":\"websocket_message_size\""));
}

// RFC 7692, section 6.
TEST_F(WebSocketTunnelTest, CompressedMessagesPassWhenBothHaveAgreedOnThem) {
  start(limited("compression: true"));
  constexpr std::string_view kDeflate = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
  std::string compressed = frame(Opcode::kText, "\xff", true, 4);
  {
    Pair agreed(*this, kDeflate, kDeflate);
    agreed.client.send(compressed);
    wait();
    EXPECT_EQ(agreed.server().received, compressed);
  }
  Pair refused(*this, kDeflate);
  refused.client.send(compressed);
  wait();
  EXPECT_EQ(told_client(refused), 1002);
}

// RFC 6455, section 7.1.5: without a close frame it is 1006, with an empty one 1005.
TEST_F(WebSocketTunnelTest, EndsWithoutACodeAreToldApart) {
  start(proxying({9000}));
  {
    Pair abrupt(*this);
    abrupt.client.raw().vanish();
    wait();
    EXPECT_NE(abrupt.server().state, UpstreamPeer::State::kOpen) << "ends the other as abruptly";
    EXPECT_EQ(abrupt.server().received, "");
    wait(10s);
    EXPECT_TRUE(logged("\"close_code\":1006"));
  }
  Pair empty(*this);
  empty.client.send(frame(Opcode::kClose, "", true));
  wait();
  EXPECT_EQ(empty.server().received, frame(Opcode::kClose, "", true));
  empty.client.raw().vanish();
  wait(10s);
  EXPECT_TRUE(logged("\"close_code\":1005"));
}

TEST_F(WebSocketTunnelTest, AnUpstreamThatVanishesEndsTheClient) {
  start(proxying({9000}));
  Pair pair(*this);
  pair.server().reset();
  wait(10s);
  EXPECT_TRUE(pair.client.ended());
  EXPECT_EQ(pair.seen(), "");
  EXPECT_EQ(ended("upstream"), "1");
}

}  // namespace
}  // namespace sluice::handlers::testing
