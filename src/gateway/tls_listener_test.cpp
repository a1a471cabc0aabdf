// TLS on a listener as connections see it, in a simulated world: set up in time, told of a drain, renewed by
// a reload.
#include "gateway/gateway_fixture.h"
#include "tls/client_context.h"

namespace sluice::gateway::testing {
namespace {

const NoPolicies kPolicies;
const EchoHandlers kHandlers;

/// One connection over TLS, in the world's client loop.
struct TlsCaller {
  std::expected<void, tls::HandshakeError> shaken;
  bool done = false;     // with the handshake
  std::string received;  // until the end
  bool ended = false;    // by the peer's close_notify
  bool broken = false;
};

class TlsListenerTest : public GatewayTest {
 protected:
  TlsListenerTest() : GatewayTest(kPolicies, kHandlers) {
    context_ = tls::ClientContext::make({.verify = false}).value();
  }

  static std::string document(std::string_view tls = "{}", std::string_view more = "") {
    return "version: 1\ngateway: { listen: [ { name: public, address: 127.0.0.1:80, tls: " +
           std::string(tls) + " } ]" + std::string(more) +
           " }\nupstreams: { any: { targets: [ http://127.0.0.1:9000 ] } }\napis: { a: { upstream: any } }\n";
  }

  void call(TlsCaller& caller, std::string text, std::string name = "a.test") {
    scope_.spawn(run(caller, std::move(text), std::move(name)));
  }
  void finish() {
    world.run_until([this] { return scope_.active() == 0; });
    ASSERT_EQ(scope_.active(), 0u);
  }

 private:
  io::Task<> run(TlsCaller& caller, std::string text, std::string name) {
    io::CancelToken token;
    auto stream = co_await client_loop.connect(address, token);
    auto secured = context_->connect(client_loop, std::move(*stream), name, sessions_);
    caller.shaken = co_await secured->handshake();
    caller.done = true;
    if (!caller.shaken) co_return;
    iovec piece{text.data(), text.size()};
    auto written = co_await secured->write({&piece, 1});
    std::ignore = written;
    for (;;) {
      auto lease = co_await secured->read();
      caller.broken = !lease;
      caller.ended = lease && lease->empty();
      if (caller.broken || caller.ended) co_return;
      caller.received += lease->bytes();
    }
  }

  std::shared_ptr<const tls::ClientContext> context_;
  tls::SessionSlot sessions_;
  io::TaskScope scope_;
};

TEST_F(TlsListenerTest, RequestsAreServedAndTheEndIsSaid) {
  start(document());
  TlsCaller caller;
  call(caller, request("GET", "/x", "Connection: close\r\n"));
  finish();
  EXPECT_TRUE(caller.received.starts_with("HTTP/1.1 200 OK\r\n")) << caller.received;
  EXPECT_TRUE(caller.ended);
  EXPECT_EQ(metric("sluice_tls_handshakes_total{listener=\"public\",kind=\"full\"}"), "1");
  EXPECT_EQ(metric("sluice_connections{listener=\"public\",state=\"idle\"}"), "0");
}

TEST_F(TlsListenerTest, HandshakeHasTheHeadersTime) {
  start(document("{}", ", timeouts: { header: 3s }"));
  Client silent(world, client_loop, address);
  Instant began = world.now();
  EXPECT_TRUE(world.run_until([&] { return silent.ended(); }));
  EXPECT_EQ(world.now() - began, 3s);
  EXPECT_EQ(metric("sluice_tls_handshake_failures_total{listener=\"public\",reason=\"timeout\"}"), "1");
  EXPECT_EQ(services.connections.total(), 0u) << "its place is free again";
}

TEST_F(TlsListenerTest, PlainHttpIsRefusedAndCounted) {
  start(document());
  Client plain(world, client_loop, address);
  EXPECT_EQ(plain.ask(request("GET", "/")).status, 0);
  EXPECT_EQ(metric("sluice_tls_handshake_failures_total{listener=\"public\",reason=\"not_tls\"}"), "1");
  EXPECT_EQ(services.connections.total(), 0u);
}

TEST_F(TlsListenerTest, DrainEndsAnIdleConnectionAndLetsAHandshakeGoOn) {
  start(document());
  TlsCaller idle;
  call(idle, request("GET", "/"));
  world.run_for(1s);
  EXPECT_NE(idle.received, "");
  TlsCaller begun;
  call(begun, request("GET", "/"));
  EXPECT_TRUE(world.run_until([&] { return services.connections.total() == 2; }));
  EXPECT_FALSE(begun.done);
  for (auto& worker : workers) worker->drain();
  finish();
  EXPECT_TRUE(idle.ended) << "with close_notify";
  EXPECT_THAT(begun.received, ::testing::HasSubstr("Connection: close"));
}

TEST_F(TlsListenerTest, ConnectionInTheClearGoesOnWhenItsListenerTakesOnTls) {
  std::string plain = document();
  plain.replace(plain.find(", tls: {}"), std::string_view(", tls: {}").size(), "");
  start(plain);
  Client before(world, client_loop, address);
  EXPECT_EQ(before.ask(request("GET", "/")).status, 200);
  reload(document());
  EXPECT_EQ(before.ask(request("GET", "/")).status, 200);
  TlsCaller caller;
  call(caller, request("GET", "/", "Connection: close\r\n"));
  finish();
  EXPECT_TRUE(caller.received.starts_with("HTTP/1.1 200 OK\r\n"));
}

TEST_F(TlsListenerTest, UnchangedTlsIsUsedAgainAtAReload) {
  start(document());
  auto context = snapshot->listeners[0].tls;
  reload(document("{}", ", limits: { request_fields: 50 }"));
  EXPECT_EQ(snapshot->listeners[0].tls, context);
  reload(document("{ profile: modern }"));
  EXPECT_NE(snapshot->listeners[0].tls, context);
}

TEST_F(TlsListenerTest, RedirectsAllButAcmeToHttps) {
  start(
      "version: 1\ngateway: { listen: [ { name: plain, address: 127.0.0.1:80, redirect_https: true }, "
      "{ name: public, address: 127.0.0.1:8443, tls: {} } ] }\n"
      "upstreams: { any: { targets: [ http://127.0.0.1:9000 ] } }\napis: { a: { upstream: any } }\n");
  Answer answer = get("/x/y?z=1");
  EXPECT_EQ(answer.status, 308);
  EXPECT_EQ(answer.field("Location"), "https://a.test:8443/x/y?z=1");
  EXPECT_EQ(get("/.well-known/acme-challenge/token").status, 200);
}

}  // namespace
}  // namespace sluice::gateway::testing
