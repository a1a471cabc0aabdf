#include "policies/policy_test_fixture.h"

namespace sluice::policies::testing {
namespace {

class ThrottleTest : public PolicyTest {
 protected:
  /// `?slow` takes five seconds (see EchoHandler).
  std::unique_ptr<Client> begin(std::string_view target, std::string_view fields = {}) {
    auto client = std::make_unique<Client>(world, client_loop, address);
    client->send(request("GET", target, fields));
    world.run_for(1ms);
    return client;
  }
};

// Issue 11, "Throttling": at most N a second; the excess waits up to a length and a time, then 503.
TEST_F(ThrottleTest, TheExcessOfARateWaitsForItsMoment) {
  start(chain("{ throttle: { rate: 10/1s, queue: 3 } }"));
  Instant began = world.now();
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 6; ++i) clients.push_back(begin("/"));
  std::vector<int> statuses;
  for (auto& client : clients) statuses.push_back(client->await_answer().status);
  EXPECT_EQ(statuses, (std::vector{200, 200, 200, 200, 503, 503}));
  EXPECT_GE(world.now() - began, 300ms);
  EXPECT_LT(world.now() - began, 310ms);
  EXPECT_EQ(metric("sluice_limited_total{policy=\"throttle\"}"), "2");
  EXPECT_EQ(metric("sluice_waited_total{policy=\"throttle\"}"), "3");
}

TEST_F(ThrottleTest, NobodyWaitsLongerThanAllowed) {
  start(chain("{ throttle: { rate: 1/1s, queue: 100, max_wait: 2s } }"));
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 5; ++i) clients.push_back(begin("/"));
  std::vector<int> statuses;
  for (auto& client : clients) statuses.push_back(client->await_answer().status);
  EXPECT_EQ(std::ranges::count(statuses, 200), 3) << "at once, after one second, after two";
}

// Spike arrest: a rate without a queue spreads requests evenly.
TEST_F(ThrottleTest, WithoutAQueueASpikeIsCutOff) {
  start(chain("{ throttle: { id: spike, rate: 10/1s } }"));
  EXPECT_EQ(get("/").status, 200);
  Answer answer = get("/");
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.code(), "throttled");
  EXPECT_EQ(answer.field("Retry-After"), "1");
  world.run_for(100ms);
  EXPECT_EQ(get("/").status, 200);
}

TEST_F(ThrottleTest, SoManyAreInsideAtOnceAndTheOthersWaitTheirTurn) {
  start(chain("{ throttle: { concurrency: 2, queue: 2, max_wait: 10s } }"));
  std::vector<std::unique_ptr<Client>> clients;
  Instant began = world.now();
  for (int i = 0; i < 5; ++i) clients.push_back(begin("/?slow"));
  EXPECT_EQ(clients[4]->await_answer().code(), "throttled") << "the queue is full";
  EXPECT_LT(world.now() - began, 1s);
  EXPECT_EQ(clients[0]->await_answer().status, 200);
  EXPECT_EQ(clients[3]->await_answer().status, 200);
  EXPECT_GE(world.now() - began, 10s);
  EXPECT_EQ(get("/").status, 200);
}

TEST_F(ThrottleTest, WhoWaitsTooLongIsRefusedAndWhoLeavesMakesRoom) {
  start(chain("{ throttle: { concurrency: 1, queue: 1, max_wait: 2s } }"));
  auto inside = begin("/?slow");
  {
    auto leaves = begin("/");
    EXPECT_EQ(get("/").status, 503) << "one waits already";
    leaves->raw().vanish();
    world.run_for(1ms);
  }
  Instant began = world.now();
  auto waits = begin("/");
  EXPECT_EQ(waits->await_answer().code(), "throttled");
  EXPECT_GE(world.now() - began, 2s);
  EXPECT_EQ(inside->await_answer().status, 200);
  EXPECT_EQ(get("/").status, 200) << "nothing is held by those who left";
}

TEST_F(ThrottleTest, AHigherPriorityGoesFirst) {
  start(chain(
      "{ api_key: {} }, { throttle: { concurrency: 1, queue: 9, max_wait: 1m, priorities: [ { priority: 5, "
      "groups: [g] } ] } }"));
  constexpr std::string_view kAnna = "X-API-Key: anna-key-0123456789\r\n";
  constexpr std::string_view kBen = "X-API-Key: ben-key\r\n";
  auto inside = begin("/?slow", kBen);
  auto ben = begin("/?slow", kBen);
  auto anna = begin("/?slow", kAnna);
  EXPECT_EQ(anna->await_answer().status, 200);
  EXPECT_EQ(ben->rest(), "") << "it came before her";
  EXPECT_EQ(ben->await_answer().status, 200);
}

// RFC 8289's idea for requests: a standing queue is cut short, until it has been empty.
TEST_F(ThrottleTest, AStandingQueueIsNotWaitedIn) {
  start(chain("{ throttle: { concurrency: 1, queue: 100, max_wait: 8s, target: 100ms } }"));
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 12; ++i) {
    clients.push_back(begin("/?slow"));
    world.run_for(1s);
  }
  Instant began = world.now();
  auto late = begin("/");
  EXPECT_EQ(late->await_answer().status, 503);
  EXPECT_LT(world.now() - began, 200ms);
  world.run_for(1min);
  auto first = begin("/?slow");
  auto second = begin("/");
  EXPECT_EQ(second->await_answer().status, 200) << "the queue has been empty";
}

TEST_F(ThrottleTest, EachPlaceHasItsOwnAndAReloadKeepsIt) {
  std::string_view document =
      "apis:\n  a: { path: /a, upstream: any, policies: [ { throttle: { concurrency: 1 } } ] }\n"
      "  b: { path: /b, upstream: any, policies: [ { throttle: { concurrency: 1 } } ] }\n";
  start(document);
  auto inside = begin("/a?slow");
  EXPECT_EQ(get("/a").status, 503);
  EXPECT_EQ(get("/b").status, 200);
  std::string larger(document);
  larger.replace(larger.find("concurrency: 1"), 14, "concurrency: 2");
  reload(larger);
  auto second = begin("/a?slow");
  EXPECT_EQ(get("/a").status, 503) << "the one of before counts";
  EXPECT_EQ(inside->await_answer().status, 200);
  EXPECT_EQ(get("/a").status, 200);
  EXPECT_EQ(second->await_answer().status, 200);
}

TEST_F(ThrottleTest, AFasterRateHoldsAtOnceAfterAReload) {
  start(chain("{ throttle: { rate: 1/1h, queue: 1, max_wait: 1s } }"));
  EXPECT_EQ(get("/").status, 200);
  EXPECT_EQ(get("/").status, 503);
  reload(chain("{ throttle: { rate: 100/1s, queue: 1, max_wait: 1s } }"));
  EXPECT_EQ(get("/").status, 200);
}

// The bound of the last reload holds, also for the places of those who came before it.
TEST_F(ThrottleTest, ASmallerBoundHoldsForThoseWhoWait) {
  auto document = [](int most) {
    return chain("{ throttle: { concurrency: " + std::to_string(most) + ", queue: 9, max_wait: 1m } }");
  };
  start(document(2));
  auto first = begin("/?slow");
  auto second = begin("/?slow");
  reload(document(1));
  auto third = begin("/?slow");
  auto fourth = begin("/?slow");
  Instant began = world.now();
  EXPECT_EQ(fourth->await_answer().status, 200);
  EXPECT_GE(world.now() - began, 14s) << "one at a time";
  EXPECT_EQ(first->await_answer().status + second->await_answer().status + third->await_answer().status, 600);
}

TEST_F(ThrottleTest, InADryRunNobodyWaits) {
  start(chain("{ throttle: { concurrency: 1, queue: 10, dry_run: true } }"));
  auto inside = begin("/?slow");
  Instant began = world.now();
  EXPECT_EQ(get("/").status, 200);
  EXPECT_LT(world.now() - began, 1s);
  EXPECT_EQ(metric("sluice_refused_total{code=\"dry_run\"}"), "1");
}

}  // namespace
}  // namespace sluice::policies::testing
