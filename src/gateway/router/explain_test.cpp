#include "gateway/router/explain.h"

#include <gtest/gtest.h>

#include "gateway/router/router_fixture.h"

namespace sluice::gateway::testing {
namespace {

constexpr uint32_t kWhole = Consideration::kWholeApi;

struct Expected {
  uint32_t api, route;
  Verdict verdict;
  std::string detail;
};

void expect(const Explanation& explanation, const std::vector<Expected>& expected) {
  ASSERT_EQ(explanation.considered.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    const Consideration& c = explanation.considered[i];
    EXPECT_EQ(c.api, expected[i].api) << i;
    EXPECT_EQ(c.route, expected[i].route) << i;
    EXPECT_EQ(c.verdict, expected[i].verdict) << i << " " << c.detail;
    EXPECT_EQ(c.detail, expected[i].detail) << i;
  }
}

/// The contract's example (section 2), and three APIs around it.
class Explain : public ::testing::Test {
 protected:
  Explain() {
    std::vector<RouteSpec> users = {
        route("", {"POST"}, {body("$.kind", "bulk")}),
        route("", {}, {header("x-channel", "beta")}),
        route("", {"GET"}),
        route("", {"POST", "PUT", "PATCH", "DELETE"}),
        route("/old/{rest**}"),
        route("/health"),
    };
    apis_.push_back({{"all", {}, {}, "/"}, *ApiRouter::build(std::vector{route("")})});
    apis_.push_back({{"users", {}, {"api.example.com"}, "/api/v1/users"}, *ApiRouter::build(users)});
    apis_.push_back({{"short", {}, {"api.example.com"}, "/api"}, *ApiRouter::build(std::vector{route("")})});
    apis_.push_back({{"internal", {7}, {}, "/api/v1"}, *ApiRouter::build(std::vector{route("")})});
    apis_.push_back({{"elsewhere", {}, {"*.example.com", "b.org"}, "/orders"},
                     *ApiRouter::build(std::vector{route("")})});
    root_ = *RootRouter::build(apis_);
  }
  std::vector<ApiEntry> apis_;
  std::shared_ptr<const RootRouter> root_;
};

TEST_F(Explain, SaysWhyEachDidNotFit) {
  TestRequest request("GET", "/api/v1/users/7");
  expect(explain(*root_, apis_, request.view()),
         {{1, kWhole, Verdict::kChosen, "owns the path"},
          {2, kWhole, Verdict::kOutranked, "another API's path is longer"},
          {0, kWhole, Verdict::kOutranked, "another API's host is more specific"},
          {3, kWhole, Verdict::kListener, "not on this listener"},
          {4, kWhole, Verdict::kPath, "path is not below `/orders`"},
          {1, 0, Verdict::kMethod, "does not take the method"},
          {1, 1, Verdict::kCondition, "header x-channel is not `beta`"},
          {1, 2, Verdict::kChosen, "the most specific that fits"},
          {1, 3, Verdict::kMethod, "does not take the method"},
          {1, 4, Verdict::kPath, "the path does not fit"},
          {1, 5, Verdict::kPath, "the path does not fit"}});
}

TEST_F(Explain, SaysThatABodyDecides) {
  TestRequest request("POST", "/api/v1/users");
  Explanation without = explain(*root_, apis_, request.view());
  EXPECT_EQ(without.match.outcome, Outcome::kNeedBody);
  EXPECT_EQ(without.considered[5].verdict, Verdict::kUndecided);
  EXPECT_EQ(without.considered[5].detail, "body $.kind decides, and there is no body");
  BodyPrefix one{R"({"kind":"one"})", true};
  Explanation with = explain(*root_, apis_, request.view(), &one);
  EXPECT_EQ(with.match.route, 3u);
  EXPECT_EQ(with.considered[5].detail, "body $.kind is not `bulk`");
}

TEST_F(Explain, SaysWhichHostIsMissing) {
  TestRequest request("GET", "/orders", "c.org");
  Explanation explanation = explain(*root_, apis_, request.view());
  EXPECT_EQ(explanation.match.api, 0u);
  EXPECT_EQ(explanation.considered[1].verdict, Verdict::kHost);
  EXPECT_EQ(explanation.considered.back().detail, "the most specific that fits");
}

}  // namespace
}  // namespace sluice::gateway::testing
