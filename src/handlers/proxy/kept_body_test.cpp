// Requests with a body that are sent again: which ones, and that nothing of them is missing.
#include "handlers/handler_test_fixture.h"

namespace sluice::handlers::testing {
namespace {

class KeptBodyTest : public HandlerTest {
 protected:
  /// The first target breaks once it has all of the body, the second one answers then.
  Answer ask(std::string_view config, std::string_view method, const std::string& body,
             std::string_view fields = {}) {
    // Another document each time, so that it begins with the first target.
    ++asked_;
    std::string document =
        proxying({9000, 9001}, std::string(config) + ", timeouts: { idle: " + std::to_string(asked_) + "m }");
    if (asked_ > 1)
      reload(document);
    else
      start(document);
    ScriptedUpstream first(world, upstream_loop, target(9000), [&](UpstreamPeer& peer) {
      if (peer.received.ends_with(body.substr(body.size() - 5))) peer.close();
    });
    ScriptedUpstream second(world, upstream_loop, target(9001), [&](UpstreamPeer& peer) {
      received_ = peer.received;
      if (peer.received.ends_with(body.substr(body.size() - 5))) peer.ok("again");
    });
    received_.clear();
    return HandlerTest::ask(
        request(method, "/",
                std::string(fields) + "Content-Length: " + std::to_string(body.size()) + "\r\n") +
        body);
  }
  std::string received_;  // by the second one

 private:
  int asked_ = 0;
};

const std::string kSmall = "small";

TEST_F(KeptBodyTest, ASmallBodyIsSentAgain) {
  Answer answer = ask("retry: { attempts: 2 }", "PUT", kSmall);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "again");
  EXPECT_TRUE(received_.starts_with("PUT / HTTP/1.1\r\n")) << received_;
  EXPECT_TRUE(received_.ends_with("\r\n\r\nsmall")) << received_;
  EXPECT_EQ(retries("reset"), "1");
}

TEST_F(KeptBodyTest, ALargeOneIsNot) {
  std::string large(100'000, 'x');
  EXPECT_EQ(ask("retry: { attempts: 2 }", "PUT", large + "large").status, 502);
  EXPECT_EQ(received_, "");
  EXPECT_EQ(metric("sluice_limit_hits_total{limit=\"retry_request\"}"), "1");
  EXPECT_EQ(ask("retry: { attempts: 2, body: 200KiB }", "PUT", large + "large").status, 200);
  EXPECT_TRUE(received_.ends_with("\r\n\r\n" + large + "large")) << received_.size();
  EXPECT_EQ(ask("retry: { attempts: 2, body: 0 }", "PUT", kSmall).status, 502);
}

// RFC 9110, section 9.2.2; draft-ietf-httpapi-idempotency-key-header-07, section 2.
TEST_F(KeptBodyTest, WhatMayHaveBeenDoneIsNotDoneAgain) {
  std::string_view key = "Idempotency-Key: \"8e03978e\"\r\n";
  EXPECT_EQ(ask("retry: { attempts: 2 }", "POST", kSmall).status, 502);
  EXPECT_EQ(ask("retry: { attempts: 2 }", "POST", kSmall, key).status, 502)
      << "nobody says that it is heeded";
  EXPECT_EQ(ask("retry: { attempts: 2, idempotency_key: true }", "POST", kSmall).status, 502);
  EXPECT_EQ(received_, "");
  EXPECT_EQ(ask("retry: { attempts: 2, idempotency_key: true }", "POST", kSmall, key).status, 200);
  EXPECT_TRUE(received_.ends_with("small")) << received_;
}

TEST_F(KeptBodyTest, AStatusIsTriedAgainWithItsBody) {
  start(proxying({9000, 9001}, "retry: { attempts: 2, on: [503] }"));
  ScriptedUpstream first(world, upstream_loop, target(9000), [](UpstreamPeer& peer) {
    if (peer.received.ends_with("small")) peer.send("HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n");
  });
  ScriptedUpstream second(world, upstream_loop, target(9001), [](UpstreamPeer& peer) {
    if (peer.received.ends_with("small")) peer.ok("again");
  });
  EXPECT_EQ(HandlerTest::ask(request("PUT", "/", "Content-Length: 5\r\n") + kSmall).body, "again");
  EXPECT_EQ(retries("status"), "1");
}

// What has not come yet cannot be sent again.
TEST_F(KeptBodyTest, ABodyInTheMiddleIsNotSentAgain) {
  start(proxying({9000, 9001}));
  ScriptedUpstream first(world, upstream_loop, target(9000));
  ScriptedUpstream second(world, upstream_loop, target(9001), ScriptedUpstream::answering("x"));
  Client client(world, client_loop, address);
  client.send(request("PUT", "/", "Content-Length: 1000\r\n") + "part");
  world.run_for(10ms);
  first.peer(0).close();
  EXPECT_EQ(client.await_answer().status, 502);
  EXPECT_EQ(second.connections(), 0u);
}

}  // namespace
}  // namespace sluice::handlers::testing
