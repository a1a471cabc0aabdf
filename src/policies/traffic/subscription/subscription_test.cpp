#include "policies/policy_test_fixture.h"

namespace sluice::policies::testing {
namespace {

class SubscriptionTest : public PolicyTest {
 protected:
  /// Two APIs behind the same chain; anna has `gold` at `a`, ben has nothing.
  static std::string document(std::string_view policy, std::string_view free = "{ rate: 2/1m }",
                              std::string_view gold = "{ rate: 5/1m }") {
    std::string text = "plans:\n  free: { limits: [" + std::string(free) + "] }\n  gold: { limits: [" +
                       std::string(gold) + "] }\n  open: {}\n";
    for (std::string_view api : {"a", "b"})
      text += (api == "a" ? "apis:\n" : "") + std::string("  ") + std::string(api) + ": { path: /" +
              std::string(api) + ", upstream: any, policies: [ { api_key: {} }, " + std::string(policy) +
              " ] }\n";
    return text +
           "consumers:\n"
           "  anna: { credentials: [ { api_key: anna-key } ], subscriptions: [ { api: a, plan: gold } ] }\n"
           "  ben: { credentials: [ { api_key: ben-key } ] }\n"
           "  carl: { credentials: [ { api_key: carl-key } ], subscriptions: [ { api: a, plan: open } ] }\n";
  }
  Answer as(std::string_view who, std::string_view target) {
    return get(target, "X-API-Key: " + std::string(who) + "-key\r\n");
  }
  int passing(int count, std::string_view who, std::string_view target) {
    int passed = 0;
    for (int i = 0; i < count; ++i) passed += as(who, target).status == 200;
    return passed;
  }
};

// Contract, section 2 "Who is calling" and section 3 "Statuses": 403 when not subscribed.
TEST_F(SubscriptionTest, WhoHasNoneIsRefused) {
  start(document("{ subscription: {} }"));
  EXPECT_EQ(as("anna", "/a").status, 200);
  Answer answer = as("anna", "/b");
  EXPECT_EQ(answer.status, 403) << "the subscription is to another API";
  EXPECT_EQ(answer.code(), "not_subscribed");
  EXPECT_EQ(as("ben", "/a").status, 403);
}

TEST_F(SubscriptionTest, ThePlanIsEnforced) {
  start(document("{ subscription: { default_plan: free } }"));
  EXPECT_EQ(passing(7, "anna", "/a"), 5);
  EXPECT_EQ(passing(7, "anna", "/b"), 2) << "by the default plan, with counters of its own";
  EXPECT_EQ(passing(7, "ben", "/a"), 2) << "each consumer has its own";
  EXPECT_EQ(passing(20, "carl", "/a"), 20) << "a plan without limits";
  Answer answer = as("anna", "/a");
  EXPECT_EQ(answer.status, 429);
  EXPECT_EQ(answer.code(), "rate_limited");
  EXPECT_EQ(answer.field("Retry-After"), "12");
  EXPECT_EQ(answer.field("RateLimit-Policy"), "\"subscription\";q=5;w=60");
  EXPECT_EQ(answer.field("RateLimit"), "\"subscription\";r=0;t=60");
  EXPECT_EQ(metric("sluice_limited_total{policy=\"subscription\"}"), "13");
  EXPECT_NE(access_log().find("\"plan\":\"gold\""), std::string::npos);
}

// All limits of a plan hold, and what one refuses costs nothing at the others.
TEST_F(SubscriptionTest, SeveralLimitsHoldTogether) {
  start(document("{ subscription: {} }", "{ rate: 1/1s }",
                 "{ rate: 2/1s }, { rate: 5/1h, algorithm: fixed_window }"));
  EXPECT_EQ(passing(4, "anna", "/a"), 2);
  Answer answer = as("anna", "/a");
  EXPECT_EQ(answer.field("RateLimit-Policy"), "\"subscription-1\";q=2;w=1, \"subscription-2\";q=5;w=3600");
  EXPECT_TRUE(answer.field("RateLimit").starts_with("\"subscription-1\";r=0;t=1, \"subscription-2\";r=3;t="))
      << answer.field("RateLimit");
  world.run_for(1s);
  EXPECT_EQ(passing(4, "anna", "/a"), 2);
  world.run_for(1s);
  EXPECT_EQ(passing(4, "anna", "/a"), 1) << "five in this hour";
  EXPECT_GT(std::stoi(as("anna", "/a").field("Retry-After")), 60);
}

TEST_F(SubscriptionTest, ANewPlanHoldsAfterAReloadAndAnUnchangedOneGoesOn) {
  start(document("{ subscription: { default_plan: free } }"));
  EXPECT_EQ(passing(3, "ben", "/a"), 2);
  EXPECT_EQ(passing(3, "anna", "/a"), 3);
  reload(document("{ subscription: { default_plan: free } }", "{ rate: 2/1m }", "{ rate: 4/1m }"));
  EXPECT_EQ(passing(1, "ben", "/a"), 0) << "what was counted stays";
  EXPECT_EQ(passing(7, "anna", "/a"), 4) << "another rate begins anew";
}

TEST_F(SubscriptionTest, SaysWhatIsWrong) {
  EXPECT_FALSE(compile(document("{ subscription: { default_plan: fre } }")));
  EXPECT_NE(problems.find("there is no plan `fre`"), std::string::npos) << problems;
  EXPECT_FALSE(compile("consumers: { x: { subscriptions: [ { api: z, plan: y } ] } }\n"));
  EXPECT_NE(problems.find("there is no API `z`"), std::string::npos) << problems;
  EXPECT_NE(problems.find("there is no plan `y`"), std::string::npos) << problems;
  std::string twice =
      "apis: { a: { upstream: any } }\nplans: { p: {} }\n"
      "consumers: { x: { subscriptions: [ { api: a, plan: p }, { api: a, plan: p } ] } }\n";
  EXPECT_FALSE(compile(twice));
  EXPECT_NE(problems.find("has a subscription to `a` already"), std::string::npos) << problems;
  EXPECT_TRUE(compile("apis: { a: { upstream: any, policies: [ { subscription: {} } ] } }\n"));
  EXPECT_NE(problems.find("no policy before it can know who is calling"), std::string::npos) << problems;
}

}  // namespace
}  // namespace sluice::policies::testing
