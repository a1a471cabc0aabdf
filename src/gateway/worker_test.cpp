// Reload and drain as connections see them.
#include "gateway/gateway_fixture.h"
#include "gateway/policy_fixture.h"

namespace sluice::gateway::testing {
namespace {

const MarkPolicies kPolicies;
const EchoHandlers kHandlers;

/// A document whose only API answers with `reply` before the echo.
std::string replying(std::string_view reply) {
  return "apis: { a: { upstream: any, routes: [ { name: r, respond: { body: \"" + std::string(reply) +
         "\" } } ] } }\n";
}

class WorkerTest : public GatewayTest {
 protected:
  WorkerTest() : GatewayTest(kPolicies, kHandlers) { mark_trace.clear(); }

  static std::string listening(std::string_view listeners) {
    return "version: 1\ngateway: { listen: [" + std::string(listeners) +
           "] }\nupstreams: { any: { targets: [ http://127.0.0.1:9000 ] } }\napis: { a: { upstream: any } "
           "}\n";
  }
  /// True when nobody listens there.
  bool refuses(const io::Address& at) {
    io::TaskScope scope;
    std::optional<io::ErrorCode> error;
    bool done = false;
    scope.spawn(try_connect(at, error, done));
    world.run_until([&] { return done; });
    return error == io::ErrorCode::kRefused;
  }

 private:
  io::Task<> try_connect(io::Address at, std::optional<io::ErrorCode>& error, bool& done) {
    io::CancelToken token;
    auto stream = co_await client_loop.connect(at, token);
    if (!stream) error = stream.error().code;
    done = true;
  }
};

// Contract, section 2 "Reload": a valid document takes effect with no failed request, no closed connection.
TEST_F(WorkerTest, AReloadTakesEffectOnConnectionsThatStand) {
  start(replying("old "));
  Client client(world, client_loop, address);
  EXPECT_TRUE(client.ask(request("GET", "/")).body.starts_with("old "));
  reload(replying("new "));
  Answer answer = client.ask(request("GET", "/"));
  EXPECT_TRUE(answer.body.starts_with("new "));
  EXPECT_EQ(answer.field("Connection"), "");
}

TEST_F(WorkerTest, ARequestInHandGoesOnWithItsOwnPlan) {
  start("policies: [ { mark: { note: old } } ]\n" + replying("old "));
  Client client(world, client_loop, address);
  client.send(request("GET", "/?slow"));
  world.run_for(1s);
  std::weak_ptr<const Snapshot> before = snapshot;
  std::weak_ptr<const RoutePlan> plan = snapshot->apis[0]->routes[0];
  reload("policies: [ { mark: { note: new } } ]\n" + replying("new "));
  EXPECT_TRUE(before.expired()) << "only the plan is kept";
  EXPECT_FALSE(plan.expired());
  Client other(world, client_loop, address);
  EXPECT_TRUE(other.ask(request("GET", "/")).body.starts_with("new "));
  EXPECT_FALSE(plan.expired()) << "somebody else's request does not release it";
  EXPECT_TRUE(client.await_answer().body.starts_with("old "));
  EXPECT_EQ(mark_trace, "old>new>new<new.old<old.");
  world.run_for(1s);
  EXPECT_TRUE(plan.expired()) << "its last exchange has ended";
  EXPECT_TRUE(client.ask(request("GET", "/")).body.starts_with("new "));
}

TEST_F(WorkerTest, ManyReloadsUnderOneRequest) {
  start(replying("0 "));
  Client client(world, client_loop, address);
  client.send(request("GET", "/?slow"));
  world.run_for(1s);
  for (int i = 1; i <= 20; ++i) {
    reload(replying(std::to_string(i) + " "));
    EXPECT_TRUE(get("/").body.starts_with(std::to_string(i) + " "));
  }
  EXPECT_TRUE(client.await_answer().body.starts_with("0 "));
}

TEST_F(WorkerTest, NewTimeoutsHoldForConnectionsThatStand) {
  auto document = [](std::string_view keep_alive) {
    return "version: 1\ngateway: { listen: [ { name: plain, address: 127.0.0.1:80 } ], timeouts: { "
           "keep_alive: " +
           std::string(keep_alive) +
           " } }\nupstreams: { any: { targets: [ http://127.0.0.1:9000 ] } }\napis: { a: { upstream: any } "
           "}\n";
  };
  start(document("75s"));
  Client client(world, client_loop, address);
  client.ask(request("GET", "/"));
  reload(document("2s"));
  client.ask(request("GET", "/"));
  Instant began = world.now();
  EXPECT_TRUE(world.run_until([&] { return client.ended(); }));
  EXPECT_EQ(world.now() - began, 2s);
}

TEST_F(WorkerTest, NewLimitsHoldForConnectionsThatStand) {
  auto document = [](std::string_view fields) {
    return "version: 1\ngateway: { listen: [ { name: plain, address: 127.0.0.1:80 } ], limits: { "
           "request_fields: " +
           std::string(fields) +
           " } }\nupstreams: { any: { targets: [ http://127.0.0.1:9000 ] } }\napis: { a: { upstream: any } "
           "}\n";
  };
  start(document("100"));
  Client client(world, client_loop, address);
  EXPECT_EQ(client.ask(request("GET", "/", "A: 1\r\nB: 2\r\n")).status, 200);
  reload(document("2"));
  EXPECT_EQ(client.ask(request("GET", "/", "A: 1\r\n")).status, 200);
  Answer answer = client.ask(request("GET", "/", "A: 1\r\nB: 2\r\n"));
  EXPECT_EQ(answer.status, 431);
  EXPECT_EQ(answer.code(), "too_many_fields");
  EXPECT_EQ(metric("sluice_limit_hits_total{limit=\"request_fields\"}"), "1");
}

TEST_F(WorkerTest, AReloadOpensAndClosesListeners) {
  start(listening("{ name: x, address: 127.0.0.1:80 }, { name: y, address: 127.0.0.1:81 }"));
  io::Address second = io::Address::loopback(81);
  io::Address third = io::Address::loopback(82);
  Client client(world, client_loop, second);
  EXPECT_EQ(client.ask(request("GET", "/")).status, 200);
  reload(listening("{ name: x, address: 127.0.0.1:80 }, { name: z, address: 127.0.0.1:82 }"));
  world.run_for(1ms);
  EXPECT_TRUE(refuses(second));
  EXPECT_EQ(Client(world, client_loop, third).ask(request("GET", "/")).status, 200);
  EXPECT_EQ(get("/").status, 200);
  EXPECT_EQ(client.ask(request("GET", "/")).status, 200) << "connections outlive their listener";
  reload(listening("{ name: x, address: 127.0.0.1:80 }, { name: y, address: 127.0.0.1:81 }"));
  EXPECT_EQ(Client(world, client_loop, second).ask(request("GET", "/")).status, 200);
  EXPECT_EQ(metric("sluice_connections{listener=\"x\",state=\"idle\"}"), "0");
}

TEST_F(WorkerTest, AListenerMayMove) {
  start(listening("{ name: x, address: 127.0.0.1:80 }"));
  reload(listening("{ name: x, address: 127.0.0.1:82 }"));
  world.run_for(1ms);
  EXPECT_TRUE(refuses(address));
  EXPECT_EQ(Client(world, client_loop, io::Address::loopback(82)).ask(request("GET", "/")).status, 200);
}

TEST_F(WorkerTest, SaysWhichAddressItCannotListenOn) {
  auto taken = upstream_loop.listen(io::Address::loopback(81), {});
  ASSERT_TRUE(taken);
  start(listening("{ name: x, address: 127.0.0.1:80 }"));
  auto compiled =
      compile(listening("{ name: x, address: 127.0.0.1:80 }, { name: y, address: 127.0.0.1:81 }"));
  ASSERT_TRUE(compiled) << problems;
  workers[0]->publish(compiled->change);
  auto listening_now = workers[0]->listen();
  ASSERT_FALSE(listening_now);
  EXPECT_NE(listening_now.error().find("`y` cannot listen on 127.0.0.1:81"), std::string::npos)
      << listening_now.error();
}

TEST_F(WorkerTest, CountsConnectionsByState) {
  start(replying(""));
  Client idle(world, client_loop, address);
  Client active(world, client_loop, address);
  idle.ask(request("GET", "/"));
  active.send(request("GET", "/?slow"));
  world.run_for(1s);
  EXPECT_EQ(metric("sluice_connections{listener=\"plain\",state=\"idle\"}"), "1");
  EXPECT_EQ(metric("sluice_connections{listener=\"plain\",state=\"active\"}"), "1");
  active.await_answer();
  EXPECT_EQ(metric("sluice_connections{listener=\"plain\",state=\"active\"}"), "0");
}

// Contract, section 3 "SIGTERM".
TEST_F(WorkerTest, ADrainEndsIdleConnectionsAndTheOthersWithTheirAnswer) {
  start(replying(""));
  Client idle(world, client_loop, address);
  Client active(world, client_loop, address);
  idle.ask(request("GET", "/"));
  active.send(request("GET", "/?slow"));
  world.run_for(1s);
  Instant began = world.now();
  workers[0]->drain();
  world.run_for(http::kDrainGrace - 1ms);
  EXPECT_FALSE(idle.ended()) << "it may have asked already";
  world.run_for(10ms);
  EXPECT_TRUE(idle.ended());
  EXPECT_FALSE(idle.broken());
  EXPECT_FALSE(active.ended());
  EXPECT_TRUE(refuses(address));
  Answer answer = active.await_answer();
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.field("Connection"), "close");
  EXPECT_EQ(world.now() - began, 4s);
  world.run_for(1ms);
  EXPECT_TRUE(active.ended());
  EXPECT_FALSE(active.broken());
}

TEST_F(WorkerTest, CancellingEndsWhatIsLeft) {
  start(replying(""));
  Client active(world, client_loop, address);
  active.send(request("GET", "/?slow"));
  world.run_for(1s);
  workers[0]->drain();
  workers[0]->cancel_all(io::CancelReason::kDrain);
  world.run_for(1ms);
  EXPECT_NE(metric("sluice_connections{listener=\"plain\",state=\"active\"}"), "1");
}

// Connections of every place that it had are still counted, and the places do not pile up.
TEST_F(WorkerTest, AListenerMayMoveOftenWhileItsConnectionsStand) {
  auto at = [](int port) {
    return listening(" { name: plain, address: 127.0.0.1:" + std::to_string(port) + " } ");
  };
  start(at(80));
  std::deque<Client> clients;
  for (uint16_t port = 80; port < 100; ++port) {
    if (port > 80) reload(at(port));
    EXPECT_EQ(
        clients.emplace_back(world, client_loop, io::Address::loopback(port)).ask(request("GET", "/")).status,
        200);
  }
  EXPECT_EQ(metric("sluice_connections{listener=\"plain\",state=\"idle\"}"), "20");
  for (Client& client : clients) EXPECT_EQ(client.ask(request("GET", "/")).status, 200);
  clients.clear();
  world.run_for(1s);
  EXPECT_EQ(metric("sluice_connections{listener=\"plain\",state=\"idle\"}"), "0");
}

class TwoWorkers : public GatewayTest {
 protected:
  TwoWorkers() : GatewayTest(kPolicies, kHandlers, 2) {}
};

TEST_F(TwoWorkers, ShareAnAddressAndEveryReload) {
  start(replying("old "));
  std::deque<Client> clients;
  for (int i = 0; i < 16; ++i)
    EXPECT_TRUE(
        clients.emplace_back(world, client_loop, address).ask(request("GET", "/")).body.starts_with("old "));
  reload(replying("new "));
  for (Client& client : clients) EXPECT_TRUE(client.ask(request("GET", "/")).body.starts_with("new "));
  EXPECT_EQ(metric("sluice_requests_total{api=\"a\",route=\"r\",code_class=\"2xx\"}"), "32");
  EXPECT_EQ(metric("sluice_connections{listener=\"plain\",state=\"idle\"}"), "16");
}

class ConnectionBoundsTest : public TwoWorkers {
 protected:
  static std::string bounded(std::string_view limits) {
    return "version: 1\ngateway: { listen: [ { name: plain, address: 127.0.0.1:80 } ], trusted_proxies: "
           "[10.9.0.0/16], limits: { " +
           std::string(limits) +
           " } }\nupstreams: { any: { targets: [ http://127.0.0.1:9000 ] } }\n"
           "apis: { a: { upstream: any } }\n";
  }
  /// Connects from there; true when it is served, and stays.
  bool served(std::string_view from) {
    client_loop.set_source(*io::Address::parse_ip(from));
    return clients_.emplace_back(world, client_loop, address).ask(request("GET", "/")).status == 200;
  }
  void leave_all() {
    clients_.clear();
    world.run_for(1s);
  }
  std::string hits(std::string_view limit) {
    return metric("sluice_limit_hits_total{limit=\"" + std::string(limit) + "\"}");
  }

 private:
  std::deque<Client> clients_;
};

TEST_F(ConnectionBoundsTest, TheTotalHoldsForAllWorkersTogether) {
  start(bounded("connections: 5"));
  for (int turn = 0; turn < 3; ++turn) {
    int good = 0;
    for (int i = 0; i < 12; ++i) good += served("192.0.2.1") ? 1 : 0;
    EXPECT_EQ(good, 5);
    EXPECT_EQ(metric("sluice_connections{listener=\"plain\",state=\"idle\"}"), "5");
    leave_all();
    EXPECT_EQ(services.connections.total(), 0u);
  }
  EXPECT_EQ(hits("connections"), "21");
}

TEST_F(ConnectionBoundsTest, OneAddressDoesNotTakeThePlacesOfAnother) {
  start(bounded("connections_per_address: 2"));
  EXPECT_TRUE(served("192.0.2.1"));
  EXPECT_TRUE(served("192.0.2.1"));
  EXPECT_FALSE(served("192.0.2.1"));
  EXPECT_TRUE(served("192.0.2.2"));
  EXPECT_EQ(hits("connections_per_address"), "1");
}

// Behind a trusted proxy are many clients: it is bound by the total alone.
TEST_F(ConnectionBoundsTest, TrustedProxiesAreNotBoundByAddress) {
  start(bounded("connections_per_address: 1, connections: 4"));
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(served("10.9.0.1"));
  EXPECT_FALSE(served("10.9.0.1"));
  EXPECT_EQ(hits("connections"), "1");
  EXPECT_EQ(hits("connections_per_address"), "");
}

TEST_F(ConnectionBoundsTest, AReloadBringsNewBoundsAndClosesNobody) {
  start(bounded("connections: 0"));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(served("192.0.2.1"));
  reload(bounded("connections_per_address: 2"));
  EXPECT_FALSE(served("192.0.2.1"));
  EXPECT_EQ(metric("sluice_connections{listener=\"plain\",state=\"idle\"}"), "3");
  leave_all();
  EXPECT_TRUE(served("192.0.2.1"));
}

}  // namespace
}  // namespace sluice::gateway::testing
