// Which targets requests go to: as probes say, as answers were, and by what a request asks for.
#include "gateway/health/health_monitor.h"
#include "handlers/handler_test_fixture.h"

namespace sluice::handlers::testing {
namespace {

class TargetHealthTest : public HandlerTest {
 protected:
  TargetHealthTest() {
    services.health.receive_on(main_loop_, [this](const auto& target) { monitor_.report_failing(target); });
  }
  ~TargetHealthTest() override {
    monitor_.stop();
    ends_.spawn(join());
    world.run_until([this] { return ends_.active() == 0; });
  }

  void serve(std::initializer_list<int> ports, std::string_view config) {
    start(proxying(ports, config));
    monitor_.follow(*snapshot);
  }
  void serve_again(std::initializer_list<int> ports, std::string_view config) {
    reload(proxying(ports, config));
    monitor_.follow(*snapshot);
  }
  /// Answers with its name, or with `status` once that is not 200.
  struct Named {
    Named(TargetHealthTest& test, uint16_t port, std::string name)
        : upstream(test.world, test.upstream_loop, target(port), [this, name](UpstreamPeer& peer) {
            if (!peer.received.ends_with("\r\n\r\n")) return;
            bool probe = peer.received.find("sluice-health") != std::string::npos;
            probes += probe;
            int said = probe ? probe_status : status;
            if (said == 0) return peer.close();
            peer.send("HTTP/1.1 " + std::to_string(said) + " S\r\nContent-Length: 1\r\n\r\n" + name);
          }) {}
    int status = 200;
    int probe_status = 200;
    int probes = 0;
    ScriptedUpstream upstream;
  };
  /// Who answers so many requests, each once by its name; "-" for what is no 200.
  std::string answers(int count, std::string_view fields = {}) {
    std::string names;
    for (int i = 0; i < count; ++i) {
      Answer answer = get("/", fields);
      names += answer.status == 200 ? answer.body : "-";
    }
    return names;
  }
  std::string healthy(int port) {
    return metric("sluice_target_healthy{upstream=\"u\",target=\"127.0.0.1:" + std::to_string(port) + "\"}");
  }

  io::SimLoop& main_loop_ = world.add_loop();
  gateway::HealthMonitor monitor_{main_loop_, services.epochs, services.metrics, services.registry.attach()};

 private:
  io::Task<> join() { co_await monitor_.join(); }
  io::TaskScope ends_;
};

TEST_F(TargetHealthTest, ATargetWhoseProbesFailGetsNoRequestsUntilTheySucceed) {
  serve({9000, 9001}, "health: { active: { path: /healthz, interval: 1s, unhealthy: 3, healthy: 2 } }");
  Named a(*this, 9000, "a");
  Named b(*this, 9001, "b");
  world.run_for(2s);
  EXPECT_EQ(answers(4), "abab");
  EXPECT_EQ(healthy(9000), "1");
  a.probe_status = 503;
  int before = a.probes;
  world.run_for(2200ms);
  EXPECT_LE(a.probes - before, 3);
  world.run_for(2s);
  EXPECT_EQ(answers(4), "bbbb");
  EXPECT_EQ(healthy(9000), "0");
  EXPECT_NE(monitor_.describe().find("it answers with status 503"), std::string::npos);
  a.probe_status = 204;
  world.run_for(3500ms);
  EXPECT_EQ(healthy(9000), "1");
  std::string both = answers(4);
  EXPECT_EQ(std::ranges::count(both, 'a'), 2) << both;
}

// Contract, section 3: 503 no healthy target, with Retry-After.
TEST_F(TargetHealthTest, WithoutAHealthyTargetThereIs503) {
  serve({9000}, "health: { active: { interval: 100ms, unhealthy: 1 } }");
  world.run_for(1s);
  Answer answer = get("/");
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.code(), "no_target");
  EXPECT_EQ(answer.field("Retry-After"), "1");
  EXPECT_NE(monitor_.describe().find("no connection: refused"), std::string::npos) << monitor_.describe();
}

TEST_F(TargetHealthTest, InPanicAllAreTried) {
  serve({9000, 9001},
        "health: { panic: 60%, active: { interval: 100ms, unhealthy: 1 } }, retry: { attempts: 1 }");
  Named a(*this, 9000, "a");
  world.run_for(1s);
  EXPECT_EQ(answers(4), "a-a-");
}

// A redirect is no good answer, and is not followed.
TEST_F(TargetHealthTest, AProbeWantsTheStatusesThatAreConfigured) {
  struct Case {
    int status;
    std::string_view statuses;
    std::string_view healthy;
  };
  Named a(*this, 9000, "a");
  bool first = true;
  for (const Case& each : {Case{302, "", "0"}, Case{299, "", "1"}, Case{401, ", statuses: [200, 401]", "1"},
                           Case{404, ", statuses: 200-399", "0"}}) {
    a.probe_status = each.status;
    std::string config =
        "health: { active: { interval: 100ms, healthy: 1, unhealthy: 1" + std::string(each.statuses) + " } }";
    if (std::exchange(first, false))
      serve({9000}, config);
    else
      serve_again({9000}, config);
    world.run_for(1s);
    EXPECT_EQ(healthy(9000), each.healthy) << each.status;
  }
}

TEST_F(TargetHealthTest, AProbeThatIsNotAnsweredInTimeHasFailed) {
  serve({9000}, "health: { active: { interval: 1s, timeout: 300ms, unhealthy: 1 } }");
  ScriptedUpstream silent(world, upstream_loop, target(9000));
  world.run_for(500ms);
  EXPECT_EQ(healthy(9000), "0");
  EXPECT_NE(monitor_.describe().find("it did not answer in time"), std::string::npos);
}

TEST_F(TargetHealthTest, ATcpProbeWantsAConnectionAlone) {
  serve({9000, 9001}, "health: { active: { type: tcp, interval: 100ms, unhealthy: 1 } }");
  ScriptedUpstream silent(world, upstream_loop, target(9000));
  world.run_for(1s);
  EXPECT_EQ(healthy(9000), "1");
  EXPECT_EQ(healthy(9001), "0");
}

// One probe a target for the whole process, however often the configuration is loaded.
TEST_F(TargetHealthTest, AReloadKeepsTheProbesAndWhatTheyFound) {
  std::string_view config = "health: { active: { interval: 1s, unhealthy: 1 } }";
  serve({9000, 9001}, config);
  Named a(*this, 9000, "a");
  world.run_for(3s);
  EXPECT_EQ(answers(2), "aa");
  int before = a.probes;
  serve_again({9000, 9001}, "health: { active: { interval: 1s, unhealthy: 1 } }, timeouts: { idle: 5s }");
  EXPECT_EQ(answers(2), "aa") << "what was found holds at once";
  world.run_for(5s);
  EXPECT_NEAR(a.probes - before, 5, 1);
  serve_again({9000, 9001}, "retry: { attempts: 1 }");
  before = a.probes;
  world.run_for(3s);
  EXPECT_EQ(a.probes, before) << "nobody asks for probes any more";
  EXPECT_EQ(answers(2).size(), 2u);
  EXPECT_EQ(healthy(9001), "1") << "nothing is known against it";
}

TEST_F(TargetHealthTest, FailuresInARowEjectATargetForAWhile) {
  serve({9000, 9001},
        "retry: { attempts: 1 }, health: { passive: { consecutive_failures: 3, eject_for: 10s, max_ejected: "
        "50% } }");
  Named a(*this, 9000, "a");
  Named b(*this, 9001, "b");
  a.status = 503;
  EXPECT_EQ(answers(6), "-b-b-b");
  world.run_for(1ms);
  EXPECT_EQ(answers(4), "bbbb");
  EXPECT_EQ(healthy(9000), "0");
  EXPECT_EQ(metric("sluice_ejections_total{upstream=\"u\"}"), "1");
  world.run_for(10s);
  EXPECT_EQ(healthy(9000), "1");
  EXPECT_EQ(std::ranges::count(answers(6), '-'), 3) << "it has its chance again";
  world.run_for(19s);
  EXPECT_EQ(healthy(9000), "0") << "the second time in a row it is ejected for twice as long";
  world.run_for(2s);
  EXPECT_EQ(healthy(9000), "1");
}

TEST_F(TargetHealthTest, WhatWasOnItsWayWhenATargetWasEjectedDoesNotCountWhenItIsBack) {
  serve({9000, 9001},
        "retry: { attempts: 1 }, health: { passive: { consecutive_failures: 3, eject_for: 10s } }");
  Named a(*this, 9000, "a");
  Named b(*this, 9001, "b");
  a.status = 503;
  EXPECT_EQ(answers(6), "-b-b-b");
  world.run_for(1ms);
  EXPECT_EQ(healthy(9000), "0");
  const gateway::Upstream& upstream = *snapshot->upstreams.front();
  for (int late = 0; late < 4; ++late) upstream.record(*upstream.view().targets.front(), 503);
  world.run_for(10s);
  EXPECT_EQ(healthy(9000), "1");
  EXPECT_EQ(std::ranges::count(answers(6), '-'), 3);
  world.run_for(1ms);
  EXPECT_EQ(healthy(9000), "0") << "three more in a row";
}

TEST_F(TargetHealthTest, ASuccessBeginsTheCountAnew) {
  serve({9000, 9001}, "retry: { attempts: 1 }, health: { passive: { consecutive_failures: 3 } }");
  Named a(*this, 9000, "a");
  Named b(*this, 9001, "b");
  for (int round = 0; round < 3; ++round) {
    a.status = 0;
    answers(4);
    a.status = 500;  // the application's own, not one of `statuses`
    answers(2);
  }
  EXPECT_EQ(healthy(9000), "1");
}

TEST_F(TargetHealthTest, NoMoreAreEjectedThanAllowed) {
  serve({9000, 9001, 9002},
        "retry: { attempts: 1 }, health: { passive: { consecutive_failures: 1, max_ejected: 50% } }");
  Named a(*this, 9000, "a");
  Named b(*this, 9001, "b");
  Named c(*this, 9002, "c");
  a.status = b.status = c.status = 502;
  answers(12);
  world.run_for(1ms);
  EXPECT_EQ(metric("sluice_ejections_total{upstream=\"u\"}"), "1") << "one of three is at most 50%";
  EXPECT_EQ(healthy(9000) + healthy(9001) + healthy(9002), "011");
}

TEST_F(TargetHealthTest, AnErrorRateEjectsATarget) {
  serve({9000, 9001},
        "retry: { attempts: 1 }, health: { passive: { consecutive_failures: 0, error_rate: 30%, "
        "min_requests: 10, "
        "interval: 5s } }");
  Named a(*this, 9000, "a");
  Named b(*this, 9001, "b");
  for (int i = 0; i < 20; ++i) {
    a.status = i % 4 < 2 ? 503 : 200;
    get("/");
  }
  EXPECT_EQ(healthy(9000), "1") << "a rate is taken over an interval";
  world.run_for(5s);
  EXPECT_EQ(healthy(9000), "0");
  EXPECT_EQ(healthy(9001), "1");
}

TEST_F(TargetHealthTest, OneKeyGoesToOneTarget) {
  serve({9000, 9001, 9002}, "balance: { hash: header:x-user }");
  Named a(*this, 9000, "a");
  Named b(*this, 9001, "b");
  Named c(*this, 9002, "c");
  std::string seen;
  for (int user = 0; user < 20; ++user) {
    std::string names = answers(3, "X-User: " + std::to_string(user) + "\r\n");
    EXPECT_EQ(names, std::string(3, names[0]));
    if (seen.find(names[0]) == std::string::npos) seen += names[0];
  }
  EXPECT_EQ(seen.size(), 3u);
}

TEST_F(TargetHealthTest, LeastRequestsGoesToWhoHasNone) {
  serve({9000, 9001}, "balance: least_requests");
  ScriptedUpstream silent(world, upstream_loop, target(9000));
  Named b(*this, 9001, "b");
  std::deque<Client> waiting;
  // One of the two hangs at the silent target; from then on the other one has fewer.
  for (int i = 0; i < 2; ++i) waiting.emplace_back(world, client_loop, address).send(request("GET", "/"));
  world.run_for(10ms);
  EXPECT_EQ(answers(5), "bbbbb");
  EXPECT_EQ(silent.connections(), 1u);
}

// RFC 6265: the cookie's value is the gateway's own; what else the client sends does not matter.
TEST_F(TargetHealthTest, ACookieBringsAClientBack) {
  serve(
      {9000, 9001, 9002},
      "balance: { sticky: { cookie: route, ttl: 1h } }, health: { active: { interval: 1s, unhealthy: 1 } }");
  Named a(*this, 9000, "a");
  Named b(*this, 9001, "b");
  Named c(*this, 9002, "c");
  Answer first = get("/");
  std::string set = first.field("Set-Cookie");
  EXPECT_TRUE(set.starts_with("route=") && set.ends_with("; Path=/; HttpOnly; SameSite=Lax; Max-Age=3600"))
      << set;
  std::string cookie = "Cookie: other=1; " + set.substr(0, set.find(';')) + "\r\n";
  EXPECT_EQ(answers(6, cookie), std::string(6, first.body[0]));
  EXPECT_EQ(get("/", cookie).field("Set-Cookie"), "") << "it has it already";
  EXPECT_EQ(answers(6).find_first_not_of("abc"), std::string::npos);
  EXPECT_NE(answers(3), std::string(3, first.body[0])) << "who has none is balanced";
  // Its target is gone: another one, from then on.
  Named& gone = first.body == "a" ? a : first.body == "b" ? b : c;
  gone.probe_status = 503;
  world.run_for(2s);
  Answer next = get("/", cookie);
  EXPECT_NE(next.body, first.body);
  std::string other = next.field("Set-Cookie");
  ASSERT_NE(other, "");
  EXPECT_EQ(answers(4, "Cookie: " + other.substr(0, other.find(';')) + "\r\n"), std::string(4, next.body[0]));
  EXPECT_EQ(get("/", "Cookie: route=0123456789abcdef\r\n").status, 200) << "nobody's value";
}

TEST_F(TargetHealthTest, BeyondItsRequestsAnUpstreamGetsNoMore) {
  serve({9000}, "circuit_breaker: { max_requests: 2 }");
  ScriptedUpstream silent(world, upstream_loop, target(9000));
  std::deque<Client> waiting;
  for (int i = 0; i < 2; ++i) waiting.emplace_back(world, client_loop, address).send(request("GET", "/"));
  world.run_for(10ms);
  Answer answer = get("/");
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.code(), "circuit_breaker_open");
  EXPECT_EQ(answer.field("Retry-After"), "1");
  EXPECT_EQ(metric("sluice_limit_hits_total{limit=\"upstream_requests\"}"), "1");
  for (Client& client : waiting) client.raw().vanish();
  world.run_for(10ms);
  Client third(world, client_loop, address);
  third.send(request("GET", "/"));
  world.run_for(10ms);
  EXPECT_EQ(silent.requests(), 3u) << "those that left have made room";
}

TEST_F(TargetHealthTest, BeyondItsConnectionsRequestsWaitForOneThatIsGivenBack) {
  serve({9000}, "circuit_breaker: { max_connections: 2, max_pending: 2 }, timeouts: { connect: 3s }");
  ScriptedUpstream slow(world, upstream_loop, target(9000));
  std::deque<Client> clients;
  for (int i = 0; i < 4; ++i) clients.emplace_back(world, client_loop, address).send(request("GET", "/"));
  world.run_for(10ms);
  EXPECT_EQ(slow.connections(), 2u);
  EXPECT_EQ(slow.requests(), 2u);
  Answer answer = get("/");
  EXPECT_EQ(answer.status, 503) << "two wait already";
  EXPECT_EQ(answer.code(), "circuit_breaker_open");
  EXPECT_EQ(metric("sluice_limit_hits_total{limit=\"upstream_connections\"}"), "1");
  slow.peer(0).ok("x");
  EXPECT_EQ(clients[0].await_answer().status, 200);
  world.run_for(10ms);
  EXPECT_EQ(slow.connections(), 2u) << "the third goes on with the connection of the first";
  EXPECT_EQ(slow.peer(0).heads(), 2u);
  Instant began = world.now();
  EXPECT_EQ(clients[3].await_answer().code(), "circuit_breaker_open")
      << "it has waited as long as for a connect";
  EXPECT_GE(world.now() - began, 2900ms);
  for (Client& client : clients) client.raw().vanish();
  world.run_for(10ms);
  Client last(world, client_loop, address);
  last.send(request("GET", "/"));
  world.run_for(10ms);
  EXPECT_EQ(slow.connections(), 3u) << "what was broken off has made room";
}

TEST_F(TargetHealthTest, WhoLeavesWhileItWaitsTakesNoPlace) {
  serve({9000}, "circuit_breaker: { max_connections: 1 }, timeouts: { connect: 1m }");
  ScriptedUpstream slow(world, upstream_loop, target(9000));
  Client first(world, client_loop, address);
  first.send(request("GET", "/"));
  world.run_for(10ms);
  {
    Client leaves(world, client_loop, address);
    leaves.send(request("GET", "/"));
    world.run_for(10ms);
    leaves.raw().vanish();
    world.run_for(10ms);
  }
  Client third(world, client_loop, address);
  third.send(request("GET", "/"));
  world.run_for(10ms);
  slow.peer(0).ok("x");
  EXPECT_EQ(first.await_answer().status, 200);
  world.run_for(10ms);
  EXPECT_EQ(slow.peer(0).heads(), 2u);
  slow.peer(0).ok("y");
  EXPECT_EQ(third.await_answer().body, "y");
}

// The idle connection of another target of the same upstream holds the only place.
TEST_F(TargetHealthTest, AnIdleConnectionElsewhereIsSpared) {
  serve({9000, 9001}, "circuit_breaker: { max_connections: 1 }");
  Named a(*this, 9000, "a");
  Named b(*this, 9001, "b");
  EXPECT_EQ(answers(6), "ababab");
  EXPECT_EQ(metric("sluice_upstream_connections{upstream=\"u\",state=\"idle\"}"), "1");
  reload(proxying({9000, 9001}, "circuit_breaker: { max_connections: 2 }"));
  EXPECT_EQ(answers(6), "ababab");
  EXPECT_EQ(metric("sluice_upstream_connections{upstream=\"u\",state=\"idle\"}"), "2");
}

// The budget keeps retries from multiplying the load on an upstream that fails.
TEST_F(TargetHealthTest, RetriesAreBounded) {
  serve({9000, 9001}, "retry: { attempts: 2, on: [503], budget: 0% }, circuit_breaker: { max_retries: 0 }");
  Named a(*this, 9000, "a");
  Named b(*this, 9001, "b");
  a.status = b.status = 503;
  EXPECT_EQ(answers(2), "--");
  EXPECT_EQ(a.upstream.requests() + b.upstream.requests(), 2u);
  EXPECT_EQ(metric("sluice_limit_hits_total{limit=\"upstream_retries\"}"), "2");
}

}  // namespace
}  // namespace sluice::handlers::testing
