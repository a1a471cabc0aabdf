// TCP and TLS streams as clients and targets see them.
#include <gtest/gtest.h>

#include "gateway/gateway_fixture.h"
#include "io/proxy_protocol.h"
#include "tls/client_hello_fixture.h"

namespace sluice::gateway::testing {
namespace {

const NoPolicies kPolicies;
const EchoHandlers kHandlers;
using io::Address;

/// Listens in the world; each connection is answered with what it sends, after a greeting.
class EchoServer {
 public:
  EchoServer(io::SimLoop& loop, uint16_t port, std::string greeting = {})
      : greeting_(std::move(greeting)), listener_(loop.listen(Address::loopback(port), {}).value()) {
    listener_->bind(token_);
    scope_.spawn(accept());
  }
  ~EchoServer() { EXPECT_EQ(scope_.active(), 0u) << "call stop() first"; }

  std::string received;  // of all connections
  int connections = 0;
  bool broken = false;  // a connection was reset
  bool resets = false;  // the next ones are reset once something has come
  bool silent = false;  // nothing is echoed

  void stop(io::SimWorld& world) {
    token_.cancel(io::CancelReason::kShed);
    world.run_until([this] { return scope_.active() == 0; });
  }

 private:
  io::Task<> accept() {
    for (;;) {
      auto stream = co_await listener_->accept();
      if (!stream) break;
      ++connections;
      scope_.spawn(serve(std::move(*stream)));
    }
    listener_.reset();
  }
  io::Task<> serve(std::unique_ptr<io::Stream> stream) {
    stream->bind(token_);
    iovec hello{greeting_.data(), greeting_.size()};
    if (!greeting_.empty()) co_await stream->write({&hello, 1});
    for (;;) {
      auto lease = co_await stream->read();
      if (!lease) {
        broken = lease.error().code == io::ErrorCode::kReset;
        co_return;
      }
      if (lease->empty()) break;
      std::string text(lease->bytes());
      received += text;
      if (resets) {
        stream->abort();
        co_return;
      }
      if (silent) continue;
      iovec piece{text.data(), text.size()};
      co_await stream->write({&piece, 1});
    }
    stream->shutdown_write();
  }

  std::string greeting_;
  std::unique_ptr<io::Listener> listener_;
  io::CancelToken token_;
  io::TaskScope scope_;
};

class StreamTest : public GatewayTest {
 protected:
  StreamTest() : GatewayTest(kPolicies, kHandlers) {}
  ~StreamTest() override {
    for (auto& server : servers_) server->stop(world);
  }

  static constexpr std::string_view kOnePort =
      "version: 1\n"
      "gateway: { listen: [ { name: raw, address: 127.0.0.1:80 } ] }\n"
      "upstreams: { echo: { targets: [ tcp://127.0.0.1:9001, tcp://127.0.0.1:9002 ] } }\n"
      "streams: { s: { listener: raw, upstream: echo, timeouts: { idle: 1m }, limits: { connections: 2 } } "
      "}\n";
  static constexpr std::string_view kByName =
      "version: 1\n"
      "gateway: { listen: [ { name: raw, address: 127.0.0.1:80 } ] }\n"
      "upstreams: { a: { targets: [ tcp://127.0.0.1:9001 ] }, b: { targets: [ tcp://127.0.0.1:9002 ] } }\n"
      "streams:\n"
      "  a: { listener: raw, upstream: a, tls: passthrough, sni: a.test }\n"
      "  b: { listener: raw, upstream: b, tls: passthrough, sni: '*.b.test' }\n";

  EchoServer& serve(uint16_t port, std::string greeting = {}) {
    servers_.push_back(std::make_unique<EchoServer>(upstream_loop, port, std::move(greeting)));
    return *servers_.back();
  }
  std::string await_text(RawClient& client, size_t bytes) {
    world.run_until(
        [&] { return client.received.size() >= bytes || client.state != RawClient::State::kOpen; }, 5s);
    return client.received;
  }
  bool await_end(RawClient& client) {
    return world.run_until([&] { return client.state != RawClient::State::kOpen; }, 10min);
  }

 private:
  std::vector<std::unique_ptr<EchoServer>> servers_;
};

TEST_F(StreamTest, BytesPassBothWaysAndAreCounted) {
  EchoServer& first = serve(9001);
  EchoServer& second = serve(9002);
  start(kOnePort);
  {
    RawClient client(world, client_loop, address);
    client.send("hello");
    EXPECT_EQ(await_text(client, 5), "hello");
    EXPECT_EQ(metric("sluice_connections{listener=\"raw\",state=\"active\"}"), "1");
    RawClient other(world, client_loop, address);
    other.send("other");
    EXPECT_EQ(await_text(other, 5), "other");
  }
  world.run_for(1s);
  EXPECT_EQ(first.connections, 1) << "targets take turns";
  EXPECT_EQ(second.connections, 1);
  EXPECT_EQ(metric("sluice_connections{listener=\"raw\",state=\"active\"}"), "0");
  EXPECT_EQ(metric("sluice_stream_bytes_total{stream=\"s\",direction=\"from_client\"}"), "10");
  EXPECT_EQ(metric("sluice_stream_bytes_total{stream=\"s\",direction=\"to_client\"}"), "10");
  EXPECT_EQ(services.connections.total(), 0u);
  std::string log = access_log();
  EXPECT_NE(log.find("\"listener\":\"raw\""), std::string::npos) << log;
  EXPECT_NE(log.find("\"protocol\":\"tcp\",\"stream\":\"s\""), std::string::npos) << log;
  EXPECT_NE(log.find("\"request_bytes\":5,\"response_bytes\":5"), std::string::npos) << log;
}

TEST_F(StreamTest, TheServerMaySpeakFirst) {
  serve(9001, "220 ready\r\n");
  serve(9002, "220 ready\r\n");
  start(kOnePort);
  RawClient client(world, client_loop, address);
  EXPECT_EQ(await_text(client, 11), "220 ready\r\n");
}

TEST_F(StreamTest, AnotherTargetIsTriedWhenOneRefuses) {
  EchoServer& second = serve(9002);
  start(kOnePort);
  for (int i = 0; i < 2; ++i) {
    RawClient client(world, client_loop, address);
    client.send("hello");
    EXPECT_EQ(await_text(client, 5), "hello");
  }
  EXPECT_EQ(second.connections, 2);
  EXPECT_EQ(metric("sluice_retries_total{upstream=\"echo\",reason=\"connect_failure\"}"), "2");
}

TEST_F(StreamTest, WithoutATargetTheClientIsReset) {
  start(kOnePort);
  RawClient client(world, client_loop, address);
  client.send("hello");
  EXPECT_TRUE(await_end(client));
  EXPECT_EQ(client.state, RawClient::State::kReset);
  EXPECT_EQ(metric("sluice_stream_sessions_total{stream=\"s\",result=\"connect_failure\"}"), "1");
  EXPECT_NE(access_log().find("\"error_code\":\"upstream_refused\""), std::string::npos);
}

TEST_F(StreamTest, AResetOfTheServerReachesTheClient) {
  serve(9001).resets = true;
  serve(9002).resets = true;
  start(kOnePort);
  RawClient client(world, client_loop, address);
  client.send("hello");
  EXPECT_TRUE(await_end(client));
  EXPECT_EQ(client.state, RawClient::State::kReset);
  EXPECT_EQ(metric("sluice_stream_sessions_total{stream=\"s\",result=\"server_failed\"}"), "1");
}

TEST_F(StreamTest, AResetOfTheClientReachesTheServer) {
  EchoServer& first = serve(9001);
  serve(9002);
  start(kOnePort);
  {
    RawClient client(world, client_loop, address);
    client.send("hello");
    await_text(client, 5);
    client.vanish();
    world.run_for(1s);
  }
  EXPECT_TRUE(first.broken);
  EXPECT_EQ(metric("sluice_stream_sessions_total{stream=\"s\",result=\"client_failed\"}"), "1");
}

TEST_F(StreamTest, ConnectionsBeyondTheLimitAreReset) {
  serve(9001);
  serve(9002);
  start(kOnePort);
  RawClient first(world, client_loop, address);
  RawClient second(world, client_loop, address);
  first.send("1");
  second.send("2");
  EXPECT_EQ(await_text(first, 1), "1");
  EXPECT_EQ(await_text(second, 1), "2");
  RawClient third(world, client_loop, address);
  EXPECT_TRUE(await_end(third));
  EXPECT_EQ(third.state, RawClient::State::kReset);
  EXPECT_EQ(metric("sluice_limit_hits_total{limit=\"stream_connections\"}"), "1");
}

TEST_F(StreamTest, ASilentConnectionEnds) {
  serve(9001);
  serve(9002);
  start(kOnePort);
  RawClient client(world, client_loop, address);
  client.send("hello");
  await_text(client, 5);
  Instant quiet = world.now();
  EXPECT_TRUE(await_end(client));
  EXPECT_GE(world.now() - quiet, 60s);
  EXPECT_LE(world.now() - quiet, 91s);
  EXPECT_EQ(metric("sluice_stream_sessions_total{stream=\"s\",result=\"idle\"}"), "1");
}

TEST_F(StreamTest, ADrainLetsItGoOnUntilItsTimeIsOver) {
  serve(9001);
  serve(9002);
  start(kOnePort);
  RawClient client(world, client_loop, address);
  client.send("1");
  EXPECT_EQ(await_text(client, 1), "1");
  workers[0]->drain();
  client.send("2");
  EXPECT_EQ(await_text(client, 2), "12");
  workers[0]->cancel_all(io::CancelReason::kDrain);
  EXPECT_TRUE(await_end(client));
  EXPECT_EQ(client.state, RawClient::State::kReset);
}

TEST_F(StreamTest, AReloadLeavesItAloneAndHoldsForTheNext) {
  serve(9001);
  serve(9003, "new");
  start(kOnePort);
  RawClient client(world, client_loop, address);
  client.send("1");
  EXPECT_EQ(await_text(client, 1), "1");
  std::string changed(kOnePort);
  changed.replace(changed.find("9001"), 4, "9003");
  changed.replace(changed.find("9002"), 4, "9003");
  reload(changed);
  client.send("2");
  EXPECT_EQ(await_text(client, 2), "12");
  RawClient other(world, client_loop, address);
  EXPECT_EQ(await_text(other, 3), "new");
}

// --- by server name

TEST_F(StreamTest, TheServerNameDecides) {
  EchoServer& a = serve(9001, "a");
  EchoServer& b = serve(9002, "b");
  start(kByName);
  struct {
    std::string name;
    std::string greeting;
  } cases[] = {{"a.test", "a"}, {"A.Test", "a"}, {"x.b.test", "b"}, {"x.y.b.test", "b"}};
  for (const auto& connection : cases) {
    std::string hello = tls::testing::client_hello(connection.name);
    a.received.clear();
    b.received.clear();
    RawClient client(world, client_loop, address);
    client.send(hello);
    EXPECT_EQ(await_text(client, 1 + hello.size()), connection.greeting + hello) << connection.name;
    EXPECT_EQ(a.received + b.received, hello) << "not a byte is missing or added";
  }
  EXPECT_NE(access_log().find("\"host\":\"a.test\",\"protocol\":\"tls\",\"stream\":\"a\""),
            std::string::npos);
}

TEST_F(StreamTest, AHelloInManyPiecesIsPutTogether) {
  serve(9001, "a");
  start(kByName);
  std::string hello = tls::testing::in_records(tls::testing::client_hello("a.test"), 50);
  RawClient client(world, client_loop, address);
  for (char c : hello) {
    client.send(std::string(1, c));
    world.run_for(1ms);
  }
  EXPECT_EQ(await_text(client, 1 + hello.size()), "a" + hello);
}

TEST_F(StreamTest, AnUnknownServerNameGetsAnAlert) {
  serve(9001);
  start(kByName);
  for (std::string name : {"c.test", "b.test", ""}) {
    RawClient client(world, client_loop, address);
    client.send(tls::testing::client_hello(name));
    EXPECT_TRUE(await_end(client));
    EXPECT_EQ(client.received, std::string("\x15\x03\x03\x00\x02\x02\x70", 7)) << name;
  }
  EXPECT_EQ(metric("sluice_refused_total{code=\"unknown_server_name\"}"), "3");
  EXPECT_EQ(services.connections.total(), 0u);
}

TEST_F(StreamTest, WhatIsNoTlsIsReset) {
  serve(9001);
  start(kByName);
  RawClient client(world, client_loop, address);
  client.send("GET / HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(await_end(client));
  EXPECT_EQ(client.state, RawClient::State::kReset);
  EXPECT_EQ(metric("sluice_refused_total{code=\"client_hello_malformed\"}"), "1");
}

TEST_F(StreamTest, AClientThatSaysNothingHasTheHeadersTime) {
  serve(9001);
  start(kByName);
  RawClient client(world, client_loop, address);
  EXPECT_TRUE(await_end(client));
  EXPECT_EQ(metric("sluice_refused_total{code=\"client_hello_timeout\"}"), "1");
}

}  // namespace
}  // namespace sluice::gateway::testing
