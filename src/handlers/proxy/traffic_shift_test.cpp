// Traffic that moves to another upstream, and back when that fails; and upstreams that find out what they
// carry.
#include "handlers/handler_test_fixture.h"

namespace sluice::handlers::testing {
namespace {

class TrafficShiftTest : public HandlerTest {
 protected:
  void serve(std::string_view shift, std::string_view more = {}) { start(document(shift, more)); }
  static std::string document(std::string_view shift, std::string_view more = {}) {
    return "version: 1\n"
           "gateway: { listen: [ { name: plain, address: 127.0.0.1:80 } ] }\n"
           "upstreams: { old: { targets: [http://127.0.0.1:9000] }, new: { targets: [http://127.0.0.1:9001] "
           "} }\n"
           "apis: { a: { upstream: old, shift: { to: new, " +
           std::string(shift) + " }" + std::string(more) + " } }\n";
  }
  /// The share of the new upstream among so many requests.
  double share_of_new(int requests) {
    int count = 0;
    for (int i = 0; i < requests; ++i) count += get("/").field("X-From") == "new";
    return static_cast<double>(count) / requests;
  }
  std::string ratio() { return metric("sluice_shift_ratio{api=\"a\",route=\"\"}"); }
  std::string rollbacks() { return metric("sluice_shift_rollbacks_total{api=\"a\",route=\"\"}"); }

  ScriptedUpstream::OnInput named(std::string name) {
    return [this, name](UpstreamPeer& peer) {
      if (!peer.received.ends_with("\r\n\r\n")) return;
      bool is_new = name == "new";
      peer.send("HTTP/1.1 " + std::to_string(is_new ? status : 200) + " S\r\nX-From: " + name +
                "\r\nContent-Length: 0\r\n\r\n");
    };
  }
  int status = 200;  // of the new one
  ScriptedUpstream old_one{world, upstream_loop, target(9000), named("old")};
  ScriptedUpstream new_one{world, upstream_loop, target(9001), named("new")};
};

TEST_F(TrafficShiftTest, MovesEvenlyFromNoneToAll) {
  serve("over: 100s");
  EXPECT_EQ(share_of_new(20), 0);
  world.run_for(25s);
  EXPECT_NEAR(share_of_new(400), 0.25, 0.08);
  world.run_for(50s);
  EXPECT_NEAR(share_of_new(400), 0.75, 0.08);
  EXPECT_EQ(ratio().substr(0, 4), "0.75");
  world.run_for(30s);
  EXPECT_EQ(share_of_new(50), 1);
  EXPECT_EQ(ratio(), "1");
}

TEST_F(TrafficShiftTest, AReloadThatLeavesItAloneDoesNotBeginItAnew) {
  serve("over: 100s");
  get("/");
  world.run_for(60s);
  reload(document("over: 100s", ", version: v2"));
  EXPECT_NEAR(share_of_new(200), 0.6, 0.12);
  reload(document("over: 200s", ", version: v2"));
  EXPECT_EQ(share_of_new(20), 0) << "that is another one";
}

TEST_F(TrafficShiftTest, ErrorsRollItBackForGood) {
  serve("over: 10s, rollback: { error_rate: 10%, min_requests: 20 }");
  get("/");
  world.run_for(5s);
  EXPECT_NEAR(share_of_new(100), 0.5, 0.2);
  status = 500;
  size_t before = new_one.requests();
  for (int i = 0; i < 200; ++i) get("/");
  EXPECT_LT(new_one.requests() - before, 30u);
  EXPECT_EQ(rollbacks(), "1");
  EXPECT_EQ(ratio(), "0");
  status = 200;
  world.run_for(100s);
  EXPECT_EQ(share_of_new(50), 0) << "not by itself";
  EXPECT_EQ(rollbacks(), "1");
}

TEST_F(TrafficShiftTest, FewRequestsSayNothing) {
  serve("over: 1s, rollback: { error_rate: 10%, min_requests: 20 }");
  get("/");
  world.run_for(2s);
  status = 500;
  for (int i = 0; i < 5; ++i) {
    for (int each = 0; each < 15; ++each) get("/");
    world.run_for(11s);
  }
  EXPECT_EQ(share_of_new(10), 1);
}

// The new upstream is not there at all.
TEST_F(TrafficShiftTest, ARefusedConnectionIsAnErrorToo) {
  new_one.stop();
  serve("over: 1s, rollback: { error_rate: 50%, min_requests: 10 }");
  get("/");
  world.run_for(2s);
  int failed = 0;
  for (int i = 0; i < 30; ++i) failed += get("/").status == 502;
  EXPECT_EQ(failed, 10);
}

TEST(TrafficShift, SlowAnswersRollItBack) {
  config::Shift rules{.to = "new", .over = 1s, .rollback = config::ShiftRollback()};
  rules.rollback->latency = 100ms;
  rules.rollback->min_requests = 100;
  gateway::TrafficShift shift("API a", rules);
  Random random(1);
  Instant now{1s};
  shift.takes_next(random, now);
  now += 2s;
  ASSERT_TRUE(shift.takes_next(random, now));
  for (int i = 0; i < 200; ++i) EXPECT_FALSE(shift.record(200, i % 25 == 0 ? 150ms : 50ms, now)) << i;
  now += 20s;
  int rolled_back = 0;
  for (int i = 0; i < 200; ++i) rolled_back += shift.record(200, i % 10 == 0 ? 150ms : 50ms, now);
  EXPECT_EQ(rolled_back, 1);
  EXPECT_FALSE(shift.takes_next(random, now));
}

TEST_F(HandlerTest, AnUpstreamThatAdaptsRefusesWhatItCannotCarry) {
  start(proxying({9000}, "adaptive_concurrency: { min: 2, max: 8, initial: 2, window: 1s }"));
  ScriptedUpstream slow(world, upstream_loop, target(9000));
  std::deque<Client> clients;
  for (int i = 0; i < 2; ++i) clients.emplace_back(world, client_loop, address).send(request("GET", "/"));
  world.run_for(10ms);
  Answer answer = get("/");
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.code(), "upstream_overloaded");
  EXPECT_EQ(answer.field("Retry-After"), "1");
  EXPECT_EQ(metric("sluice_limit_hits_total{limit=\"upstream_concurrency\"}"), "1");
  // All that it may have, answered alike: it may have more.
  for (int i = 0; i < 40; ++i) {
    world.run_for(200ms);
    for (size_t each = 0; each < 2; ++each) {
      slow.peer(each).ok("x");
      EXPECT_EQ(clients[each].await_answer().status, 200);
      clients[each].send(request("GET", "/"));
    }
  }
  EXPECT_GE(std::stoi(metric("sluice_upstream_concurrency_limit{upstream=\"u\"}")), 3);
  for (Client& client : clients) client.raw().vanish();
}

}  // namespace
}  // namespace sluice::handlers::testing
