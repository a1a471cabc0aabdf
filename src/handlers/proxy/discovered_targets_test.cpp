// Targets that DNS lists: requests follow its records as they change, and what is known of a target stays.
#include "gateway/discovery.h"
#include "gateway/health/health_monitor.h"
#include "handlers/handler_test_fixture.h"
#include "io/sim/sim_resolver.h"

namespace sluice::handlers::testing {
namespace {

constexpr std::string_view kService = "_users._tcp.test";

class DiscoveredTargets : public HandlerTest {
 protected:
  DiscoveredTargets() {
    services.health.receive_on(main_loop_, [this](const auto& target) { monitor_.report_failing(target); });
    for (int port = 1; port <= 4; ++port)
      world.set_name(host(port), {*io::Address::parse_ip("10.0.0." + std::to_string(port))}, 1h);
  }
  ~DiscoveredTargets() override {
    discovery_.stop();
    names_.stop();
    monitor_.stop();
    ends_.spawn(join());
    world.run_until([this] { return ends_.active() == 0; });
    EXPECT_TRUE(discovery_.idle());
    EXPECT_EQ(names_.size(), 0u);
  }

  static std::string host(int number) { return "s" + std::to_string(number) + ".test"; }
  static io::ServiceRecord record(int number, uint16_t priority = 1, uint16_t weight = 1) {
    return {.priority = priority, .host = host(number), .port = 9000, .weight = weight};
  }
  void list(std::vector<io::ServiceRecord> records, Duration ttl = 10s) {
    world.set_service(std::string(kService), std::move(records), ttl);
  }
  static std::string document(std::string_view config = {}, std::string_view targets = {}) {
    std::string text =
        "version: 1\n"
        "gateway: { listen: [ { name: plain, address: 127.0.0.1:80 } ] }\n"
        "upstreams: { u: { targets: [ \"http+srv://_users._tcp.test\"";
    text.append(targets).append(" ]");
    if (!config.empty()) text.append(", ").append(config);
    return text + " } }\napis: { a: { upstream: u } }\n";
  }
  void serve(std::string_view text) {
    start(text);
    look();
  }
  void serve_again(std::string_view text) {
    reload(text);
    look();
  }
  void look() {
    discovery_.follow(snapshot->upstreams);
    names_.refresh();
    monitor_.follow(*snapshot);
    world.run_for(100ms);
  }
  /// A server of the service, that answers with its number.
  struct Server {
    Server(DiscoveredTargets& test, int number)
        : upstream(test.world, test.upstream_loop,
                   *io::Address::parse("10.0.0." + std::to_string(number) + ":9000"),
                   [this, number](UpstreamPeer& peer) {
                     if (!peer.received.ends_with("\r\n\r\n") || silent) return;
                     if (failing) return peer.close();
                     peer.ok(std::to_string(number));
                   }) {}
    bool silent = false;
    bool failing = false;
    ScriptedUpstream upstream;
  };
  std::string answers(int count) {
    std::string names;
    for (int i = 0; i < count; ++i) {
      Answer answer = get("/");
      names += answer.status == 200 ? answer.body : "-";
    }
    std::ranges::sort(names);
    return names;
  }

  io::SimLoop& main_loop_ = world.add_loop();
  io::SimResolver resolver_{main_loop_};
  telemetry::WorkerMetrics& metrics_ = services.registry.attach();
  gateway::Names names_{main_loop_, resolver_, compiler.targets(), services.epochs};
  gateway::HealthMonitor monitor_{main_loop_, services.epochs, services.metrics, metrics_};
  gateway::Discovery discovery_{main_loop_,
                                resolver_,
                                compiler.targets(),
                                names_,
                                services.metrics,
                                metrics_,
                                [this](const gateway::Upstream& upstream, gateway::TargetList targets) {
                                  monitor_.replace_targets(upstream, std::move(targets));
                                }};

 private:
  io::Task<> join() {
    co_await discovery_.join();
    co_await names_.join();
    co_await monitor_.join();
  }
  io::TaskScope ends_;
};

TEST_F(DiscoveredTargets, RequestsGoWhereTheRecordsSay) {
  list({record(1), record(2, 1, 3)});
  Server a(*this, 1);
  Server b(*this, 2);
  serve(document());
  EXPECT_EQ(answers(8), "11222222");
  EXPECT_EQ(metric("sluice_target_healthy{upstream=\"u\",target=\"s2.test:9000\"}"), "1");
}

TEST_F(DiscoveredTargets, TheyFollowTheRecordsOnceTheTtlIsOver) {
  list({record(1)});
  Server a(*this, 1);
  Server b(*this, 2);
  serve(document());
  list({record(2)});
  world.run_for(8s);
  EXPECT_EQ(answers(2), "11") << "not before";
  world.run_for(3s);
  EXPECT_EQ(answers(2), "22");
  EXPECT_EQ(metric("sluice_target_healthy{upstream=\"u\",target=\"s1.test:9000\"}"), "0");
  EXPECT_EQ(monitor_.describe().find("s1.test"), std::string::npos);
}

TEST_F(DiscoveredTargets, WithoutAnAnswerTheTargetsStay) {
  list({record(1)});
  Server a(*this, 1);
  serve(document());
  list({});
  world.run_for(1min);
  EXPECT_EQ(answers(2), "11");
}

TEST_F(DiscoveredTargets, AServiceThatNobodyKnowsHasNoTargetUntilItIsKnown) {
  Server a(*this, 1);
  serve(document());
  EXPECT_EQ(get("/").code(), "no_target");
  EXPECT_NE(monitor_.describe().find("\"upstream\": \"u\""), std::string::npos);
  list({record(1)});
  world.run_for(31s);
  EXPECT_EQ(answers(2), "11");
}

// RFC 2782: "A client MUST attempt to contact the target host with the lowest-numbered priority it can
// reach."
TEST_F(DiscoveredTargets, TheNextPriorityTakesOverWhenTheFirstIsNotHealthy) {
  list({record(1, 10), record(2, 10), record(3, 20)});
  Server a(*this, 1);
  Server b(*this, 2);
  Server c(*this, 3);
  serve(
      document("health: { passive: { consecutive_failures: 1, eject_for: 1h, max_eject_for: 1h, max_ejected: "
               "100% } }, "
               "retry: { attempts: 3 }"));
  EXPECT_EQ(answers(4), "1122");
  a.failing = b.failing = true;
  answers(4);
  EXPECT_EQ(answers(4), "3333");
}

TEST_F(DiscoveredTargets, WhatIsKnownOfATargetStaysWhenOthersComeAndGo) {
  list({record(1), record(2)});
  Server a(*this, 1);
  Server b(*this, 2);
  Server c(*this, 3);
  serve(document("health: { passive: { consecutive_failures: 1, eject_for: 1h, max_eject_for: 1h } }"));
  a.failing = true;
  answers(2);
  EXPECT_EQ(answers(2), "22");
  size_t connections = b.upstream.connections();
  list({record(1, 1, 5), record(2, 1, 5), record(3, 1, 5)});
  world.run_for(11s);
  EXPECT_EQ(answers(4), "2233") << "the first one is still ejected";
  EXPECT_EQ(b.upstream.connections(), connections) << "and the second one's connection in use";
}

TEST_F(DiscoveredTargets, ARequestInHandEndsWhereItBegan) {
  list({record(1)});
  Server a(*this, 1);
  Server b(*this, 2);
  serve(document("timeouts: { response_head: 1h }"));
  a.silent = true;
  Client client(world, client_loop, address);
  client.send(request("GET", "/"));
  ASSERT_TRUE(a.upstream.await_heads(0, 1));
  list({record(2)});
  world.run_for(30s);
  monitor_.collect();
  EXPECT_EQ(answers(1), "2");
  a.upstream.peer(0).ok("late");
  EXPECT_EQ(client.await_answer().body, "late");
  EXPECT_NE(access_log().find("\"target\":\"s1.test:9000\""), std::string::npos);
}

TEST_F(DiscoveredTargets, AReloadHasTheTargetsAtOnce) {
  list({record(1)}, 5min);
  Server a(*this, 1);
  Server b(*this, 2);
  serve(document());
  serve_again(document("slow_start: 1s", ", { url: \"http://10.0.0.2:9000\" }"));
  EXPECT_EQ(answers(4), "1122");
  serve_again(document("slow_start: 1s", ", { url: \"http://10.0.0.2:9000\", priority: 1 }"));
  EXPECT_EQ(answers(4), "1111") << "a spare one";
}

TEST_F(DiscoveredTargets, AServerThatComesIsUsedOnceItHasAnAddress) {
  list({record(1)});
  Server a(*this, 1);
  Server b(*this, 2);
  serve(document("retry: { attempts: 1 }"));
  list({record(1), record(2)});
  std::string seen;
  for (int i = 0; i < 150; ++i) {
    world.run_for(100ms);
    seen += answers(1);
  }
  EXPECT_EQ(seen.find('-'), std::string::npos) << seen;
  EXPECT_NE(seen.find('2'), std::string::npos) << seen;
}

TEST_F(DiscoveredTargets, TheirNumberIsBounded) {
  std::vector<io::ServiceRecord> records;
  for (uint16_t i = 0; i < 300; ++i)
    records.push_back(
        {.priority = i, .host = host(1), .port = static_cast<uint16_t>(10'000 - i), .weight = 1});
  list(std::move(records));
  serve(document());
  EXPECT_EQ(snapshot->upstreams[0]->view().targets.size(), gateway::kMostServiceTargets);
  EXPECT_EQ(metric("sluice_limit_hits_total{limit=\"service_targets\"}"), "1");
}

}  // namespace
}  // namespace sluice::handlers::testing
