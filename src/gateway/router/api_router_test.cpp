// Expectations are from the contract, section 2, "Matching" and "Paths", unless a test says otherwise.
#include "gateway/router/api_router.h"

#include <gtest/gtest.h>

#include "gateway/router/router_fixture.h"

namespace sluice::gateway::testing {
namespace {

struct PathCase {
  std::string path;
  std::string expected;
};

void expect_paths(const RootRouter& router, const std::vector<PathCase>& cases) {
  for (const PathCase& c : cases) EXPECT_EQ(answer(router, "GET", c.path), c.expected) << c.path;
}

// "a route's `path` is exact below it".
TEST(Router, RoutePathIsExactBelowTheApi) {
  expect_paths(*one_api({route("/health"), route("/a/b")}), {{"/api/health", "0"},
                                                             {"/api/health/", "404"},
                                                             {"/api/health/x", "404"},
                                                             {"/api/healthy", "404"},
                                                             {"/api/Health", "404"},
                                                             {"/api/a", "404"},
                                                             {"/api/a/b", "1"},
                                                             {"/api", "404"},
                                                             {"/api/", "404"}});
}

TEST(Router, TrailingSlashIsAPathOfItsOwn) {
  expect_paths(*one_api({route("/a"), route("/b/")}),
               {{"/api/a", "0"}, {"/api/a/", "404"}, {"/api/b", "404"}, {"/api/b/", "1"}});
}

// Silent in the contract; what a user of OpenAPI expects of the path "/" is the API's own path.
TEST(Router, SlashRouteIsTheApiPathWithAndWithoutSlash) {
  expect_paths(*one_api({route("/")}), {{"/api", "0"}, {"/api/", "0"}, {"/api/x", "404"}});
  expect_paths(*one_api({route("/")}, "/"), {{"/", "0"}, {"/x", "404"}});
}

// "`{name}` is one non-empty segment".
TEST(Router, ParameterIsOneNonEmptySegment) {
  expect_paths(*one_api({route("/u/{id}")}), {{"/api/u/7", "0"},
                                              {"/api/u/", "404"},
                                              {"/api/u", "404"},
                                              {"/api/u/7/", "404"},
                                              {"/api/u/7/8", "404"},
                                              {"/api/u/a%2Fb", "0"}});
}

// "`{name**}` and `/**` the rest"; "a route without `path` is `/**`". The rest may be empty, as with the
// API's own prefix.
TEST(Router, RestIsAnythingBelowAlsoNothing) {
  for (const char* path : {"/old/{rest**}", "/old/**"})
    expect_paths(*one_api({route(path)}), {{"/api/old", "0"},
                                           {"/api/old/", "0"},
                                           {"/api/old/a", "0"},
                                           {"/api/old/a/b/", "0"},
                                           {"/api/older", "404"},
                                           {"/api", "404"}});
  for (const char* path : {"", "/**"})
    expect_paths(*one_api({route(path)}),
                 {{"/api", "0"}, {"/api/", "0"}, {"/api/a/b", "0"}, {"/apix", "404 no api"}});
}

// "Most specific wins by path (literal, parameter, rest; longest)", from the left.
TEST(Router, LiteralSegmentBeatsParameter) {
  expect_paths(*one_api({route("/{id}"), route("/me"), route("/**")}),
               {{"/api/me", "1"}, {"/api/you", "0"}, {"/api/me/x", "2"}, {"/api", "2"}});
}
TEST(Router, EarlierSegmentDecidesFirst) {
  expect_paths(*one_api({route("/{x}/b/c"), route("/a/{y}/{z}"), route("/a/**"), route("/{x}/**")}),
               {{"/api/a/b/c", "1"}, {"/api/q/b/c", "0"}, {"/api/a/b", "2"}, {"/api/q/b", "3"}});
}
TEST(Router, LongerPathBeatsShorterRest) {
  expect_paths(
      *one_api({route("/**"), route("/a/**"), route("/a/b/**"), route("/a/{x}/**")}),
      {{"/api/a/b/c", "2"}, {"/api/a/b", "2"}, {"/api/a/x/c", "3"}, {"/api/a", "1"}, {"/api/b", "0"}});
}
TEST(Router, ExactEndBeatsEmptyRest) {
  expect_paths(*one_api({route("/a/**"), route("/a"), route("/a/")}),
               {{"/api/a", "1"}, {"/api/a/", "2"}, {"/api/a/b", "0"}});
}

// Candidates fit method and conditions too, so a less specific path takes what a more specific one does not.
TEST(Router, LessSpecificPathTakesWhatDoesNotFitInMethod) {
  auto router = one_api({route("/me", {"GET"}), route("/{id}", {"GET", "PUT"}), route("/**", {"DELETE"})});
  EXPECT_EQ(answer(*router, "GET", "/api/me"), "0");
  EXPECT_EQ(answer(*router, "PUT", "/api/me"), "1");
  EXPECT_EQ(answer(*router, "DELETE", "/api/me"), "2");
}
TEST(Router, BacktracksFromALiteralThatLeadsNowhere) {
  expect_paths(*one_api({route("/a/b/c"), route("/{x}/b/d"), route("/a/{y}/e")}),
               {{"/api/a/b/c", "0"}, {"/api/a/b/d", "1"}, {"/api/a/b/e", "2"}, {"/api/a/b/f", "404"}});
}

// "then number of conditions, then an explicit method, then `priority:`".
TEST(Router, MoreConditionsBeatAnExplicitMethod) {
  auto router = one_api({route("", {"GET"}), route("", {}, {header("x-channel", "beta")}),
                         route("", {}, {header("x-channel", "beta"), query("v", "2")}), route("")});
  EXPECT_EQ(answer(*router, TestRequest("GET", "/api").view()), "0");
  EXPECT_EQ(answer(*router, TestRequest("PUT", "/api").view()), "3");
  EXPECT_EQ(answer(*router, TestRequest("GET", "/api").header("X-Channel", "beta").view()), "1");
  EXPECT_EQ(answer(*router, TestRequest("GET", "/api").header("X-Channel", "beta").query("v=2").view()), "2");
  EXPECT_EQ(answer(*router, TestRequest("GET", "/api").header("X-Channel", "Beta").view()), "0");
}
TEST(Router, ExplicitMethodBeatsPriority) {
  auto router =
      one_api({route("/a", {}, {}, 100), route("/a", {"GET"}, {}, 1), route("/a", {"GET", "PUT"}, {}, 2)});
  EXPECT_EQ(answer(*router, "GET", "/api/a"), "2");
  EXPECT_EQ(answer(*router, "POST", "/api/a"), "0");
}
TEST(Router, PathBeatsConditions) {
  auto router = one_api({route("/a"), route("/**", {"GET"}, {header("x", "1")}, 9)});
  EXPECT_EQ(answer(*router, TestRequest("GET", "/api/a").header("x", "1").view()), "0");
}

// Any of the repeated fields or parameters may meet a condition.
TEST(Router, RepeatedFieldMeetsAConditionByAnyOfItsValues) {
  auto router =
      one_api({route("", {}, {header("x-channel", "beta")}), route("", {}, {header("X-Channel", "alpha")})});
  EXPECT_EQ(
      answer(*router, TestRequest("GET", "/api").header("x-channel", "a").header("x-channel", "beta").view()),
      "0");
  EXPECT_EQ(answer(*router, TestRequest("GET", "/api").header("x-channel", "alpha").view()), "1");
  // Both conditions hold: the route written first.
  EXPECT_EQ(
      answer(*router,
             TestRequest("GET", "/api").header("x-channel", "alpha").header("x-channel", "beta").view()),
      "0");
  EXPECT_EQ(answer(*router, TestRequest("GET", "/api").header("x-channel", "alpha, beta").view()), "404");
}
TEST(Router, KnownFieldNamesMeetConditions) {
  auto router = one_api({route("", {}, {header("accept", "text/csv")})});
  EXPECT_EQ(answer(*router, TestRequest("GET", "/api").header("Accept", "text/csv").view()), "0");
  EXPECT_EQ(answer(*router, TestRequest("GET", "/api").header("Accept", "text/html").view()), "404");
}

// "404, or 405 with `Allow` when only the method failed"; `Allow` also names HEAD, which a GET route takes.
TEST(Router, MethodAloneFailingIs405WithTheSortedUnion) {
  auto router = one_api({route("/a", {"PUT", "GET"}), route("/{x}", {"PURGE"}), route("/**", {"DELETE"}),
                         route("/b", {"POST"})});
  EXPECT_EQ(answer(*router, "POST", "/api/a"), "405: DELETE, GET, HEAD, PURGE, PUT");
  EXPECT_EQ(answer(*router, "MKCOL", "/api/q"), "405: DELETE, PURGE");
  EXPECT_EQ(answer(*router, "PURGE", "/api/q"), "1");
  EXPECT_EQ(answer(*router, "purge", "/api/q"), "405: DELETE, PURGE")
      << "RFC 9110, section 9.1: methods have a case";
  EXPECT_EQ(answer(*router, "OPTIONS", "/api"), "405: DELETE");
}
TEST(Router, ConditionFailingToo404) {
  auto router = one_api({route("/a", {"GET"}, {header("x", "1")}), route("/b", {"GET"}, {query("x", "1")})});
  EXPECT_EQ(answer(*router, "POST", "/api/a"), "404");
  EXPECT_EQ(answer(*router, "GET", "/api/a"), "404");
  EXPECT_EQ(answer(*router, TestRequest("POST", "/api/a").header("x", "1").view()), "405: GET, HEAD");
  EXPECT_EQ(answer(*router, TestRequest("POST", "/api/b").query("x=1").view()), "405: GET, HEAD");
}

TEST(Router, GetRouteTakesHead) {
  auto router = one_api({route("/a", {"GET"}), route("/b", {"GET"}), route("/b", {"HEAD"}),
                         route("/c", {"HEAD"}), route("/d", {"GET"}), route("/d"), route("/e", {"POST"})});
  EXPECT_EQ(answer(*router, "HEAD", "/api/a"), "0");
  EXPECT_EQ(answer(*router, "HEAD", "/api/b"), "2");
  EXPECT_EQ(answer(*router, "GET", "/api/b"), "1");
  EXPECT_EQ(answer(*router, "GET", "/api/c"), "405: HEAD");
  EXPECT_EQ(answer(*router, "HEAD", "/api/d"), "4");
  EXPECT_EQ(answer(*router, "HEAD", "/api/e"), "405: POST");
}
TEST(Router, RouteThatNamesHeadBeatsAGetRouteOfHigherPriority) {
  auto router = one_api({route("/b", {"GET"}, {}, 5), route("/b", {"HEAD"})});
  EXPECT_EQ(answer(*router, "HEAD", "/api/b"), "1");
  auto conditional =
      one_api({route("/b", {"GET"}, {header("x", "1")}), route("/b", {"HEAD"}), route("/b", {}, {}, 9)});
  EXPECT_EQ(answer(*conditional, TestRequest("HEAD", "/api/b").header("x", "1").view()), "0");
  EXPECT_EQ(answer(*conditional, TestRequest("HEAD", "/api/b").view()), "1");
}

// "Body conditions are tried last": the body is asked for only when it decides.
TEST(Router, BodyIsAskedForOnlyWhenItDecides) {
  auto router = one_api({route("", {"POST"}, {body("$.kind", "bulk")}), route("", {"GET"}),
                         route("", {"POST", "PUT"}), route("/x", {"POST"})});
  EXPECT_EQ(answer(*router, "GET", "/api"), "1");
  EXPECT_EQ(answer(*router, "PUT", "/api"), "2");
  EXPECT_EQ(answer(*router, "POST", "/api/x"), "3");
  TestRequest post("POST", "/api");
  EXPECT_EQ(answer(*router, post.view()), "body");
  BodyPrefix bulk{R"({"kind":"bulk","items":[)", false};
  BodyPrefix other{R"({"kind":"one"})", true};
  BodyPrefix empty{"", true};
  EXPECT_EQ(answer(*router, post.view(), &bulk), "0");
  EXPECT_EQ(answer(*router, post.view(), &other), "2");
  EXPECT_EQ(answer(*router, post.view(), &empty), "2");
}
TEST(Router, BodyConditionFailingIs404) {
  auto router = one_api({route("", {"POST"}, {body("$.kind", "bulk")})});
  BodyPrefix other{R"({"kind":"one"})", true};
  EXPECT_EQ(answer(*router, TestRequest("POST", "/api").view(), &other), "404");
}
// A body belongs to its method, and none is read for the sake of an error.
TEST(Router, BodyIsNotReadForA405) {
  auto router =
      one_api({route("", {"POST"}, {body("$.kind", "bulk"), header("x", "1")}), route("/x", {"GET"})});
  EXPECT_EQ(answer(*router, TestRequest("PUT", "/api").header("x", "1").view()), "405: POST");
  EXPECT_EQ(answer(*router, TestRequest("PUT", "/api").view()), "404");
  EXPECT_EQ(answer(*router, TestRequest("POST", "/api").view()), "404")
      << "the header fails, so no body is needed";
}
TEST(Router, FailingBodyConditionLeavesTheMethodsOfOtherRoutes) {
  auto router = one_api({route("", {"POST"}, {body("$.k", "1")}), route("", {"GET"}),
                         route("", {"PUT"}, {body("$.k", "3")}), route("", {"PATCH"}, {body("$.k", "2")})});
  BodyPrefix two{R"({"k":2})", true};
  EXPECT_EQ(answer(*router, TestRequest("POST", "/api").view(), &two), "405: GET, HEAD, PATCH");
}

TEST(Router, ParametersAreCapturedEncoded) {
  auto router = one_api({route("/o/{order}/i/{item}/{rest**}"), route("/o/{id}/x/**")});
  TestRequest request("GET", "/api/o/a%2Fb/i/7/p//q/");
  Match match = router->match(request.view());
  ASSERT_EQ(match.outcome, Outcome::kMatched);
  ASSERT_EQ(match.parameter_count, 3);
  EXPECT_EQ(match.parameter(0), "a%2Fb");
  EXPECT_EQ(match.parameter(1), "7");
  EXPECT_EQ(match.parameter(2), "p//q/");
  EXPECT_EQ(match.prefix_size, 4u);
  EXPECT_EQ(router->api(0)->parameter_names(0), (std::vector<std::string_view>{"order", "item", "rest"}));
  TestRequest unnamed("GET", "/api/o/9/x/y");
  match = router->match(unnamed.view());
  ASSERT_EQ(match.parameter_count, 1);
  EXPECT_EQ(match.parameter(0), "9");
}
TEST(Router, EmptyRestIsCapturedEmpty) {
  auto router = one_api({route("/old/{rest**}")});
  for (const char* path : {"/api/old", "/api/old/"}) {
    TestRequest request("GET", path);
    Match match = router->match(request.view());
    ASSERT_EQ(match.parameter_count, 1);
    EXPECT_EQ(match.parameter(0), "");
  }
}
TEST(Router, CapturesOfAnAbandonedBranchAreForgotten) {
  auto router = one_api({route("/a/{x}/{y}/c"), route("/{p}/b/{q}/d")});
  TestRequest request("GET", "/api/a/b/z/d");
  Match match = router->match(request.view());
  ASSERT_EQ(match.route, 1u);
  ASSERT_EQ(match.parameter_count, 2);
  EXPECT_EQ(match.parameter(0), "a");
  EXPECT_EQ(match.parameter(1), "z");
}
TEST(Router, TakesSixteenParametersAndRefusesMore) {
  std::string path;
  for (size_t i = 0; i < kMaxParameters; ++i) path += "/{p" + std::to_string(i) + "}";
  EXPECT_TRUE(ApiRouter::build(std::vector{route(path)}));
  EXPECT_FALSE(ApiRouter::build(std::vector{route(path + "/{one}")}));
  EXPECT_TRUE(ApiRouter::build(std::vector{route(path + "/**")}));
}

// "`repeated_slash: keep`": empty segments are segments.
TEST(Router, KeptRepeatedSlashesAreEmptySegments) {
  auto router = one_api({route("/a//b"), route("/a/{x}/b"), route("/a/b")}, "/api", true);
  expect_paths(*router, {{"/api/a//b", "0"}, {"/api/a/b", "2"}, {"/api/a/x/b", "1"}, {"/api//a/b", "404"}});
}
TEST(Router, RepeatedSlashesOfTheConfigurationAreMerged) {
  expect_paths(*one_api({route("//a///b")}), {{"/api/a/b", "0"}});
}

// "What is matched is what is sent": literals are normalised like paths; "`%2F` [...] never separators".
TEST(Router, LiteralsAreNormalisedLikePaths) {
  expect_paths(*one_api({route("/%61%2fb"), route("/x%2Fy/z"), route("/%7e")}), {{"/api/a%2Fb", "0"},
                                                                                 {"/api/a/b", "404"},
                                                                                 {"/api/x%2Fy/z", "1"},
                                                                                 {"/api/x/y/z", "404"},
                                                                                 {"/api/~", "2"}});
}

TEST(Router, LongSegmentsAreToldApart) {
  std::string a(300, 'x'), b = a, c = a.substr(1);
  b[150] = 'y';
  expect_paths(*one_api({route("/" + a), route("/" + b), route("/" + c)}),
               {{"/api/" + a, "0"}, {"/api/" + b, "1"}, {"/api/" + c, "2"}, {"/api/" + a + "x", "404"}});
}

// The bound of api_router.h: were alternatives tried in every combination, these would be 2^60.
TEST(Router, AdversarialPathIsLinearInTheConfiguration) {
  constexpr int kDepth = 60;
  std::vector<RouteSpec> routes;
  for (int literals = 0; literals <= kDepth; ++literals) {
    std::string path;
    for (int i = 0; i < kDepth; ++i)
      path += i < literals ? "/a" : i < literals + 14 ? "/{p" + std::to_string(i) + "}" : "/a";
    routes.push_back(route(path + "/end"));
  }
  auto router = one_api(routes);
  std::string path = "/api";
  for (int i = 0; i < kDepth; ++i) path += "/a";
  EXPECT_EQ(answer(*router, "GET", path + "/other"), "404");
  EXPECT_EQ(answer(*router, "GET", path + "/end"), std::to_string(kDepth));
  for (int i = 0; i < 3000; ++i) path += "/a";
  EXPECT_EQ(answer(*router, "GET", path), "404");
}

TEST(Router, WithoutRoutesNothingFits) { EXPECT_EQ(answer(*one_api({}), "GET", "/api"), "404"); }

// "what still ties is a configuration error that names both".
struct TieCase {
  std::string name;
  std::vector<RouteSpec> routes;
  bool ties;
};
TEST(Router, WhatStillTiesIsAnErrorThatNamesBoth) {
  const std::vector<TieCase> cases = {
      {"same path", {route("/a"), route("/a")}, true},
      {"parameters of other names", {route("/{x}/b"), route("/{y}/b")}, true},
      {"rest named and not", {route("/a/**"), route("/a/{r**}")}, true},
      {"no path and /**", {route(""), route("/**")}, true},
      {"same after normalising", {route("/%61"), route("/a")}, true},
      {"a method in common", {route("/a", {"GET", "PUT"}), route("/a", {"POST", "PUT"})}, true},
      {"a method of our own in common", {route("/a", {"PURGE"}), route("/a", {"BAN", "PURGE"})}, true},
      {"different conditions", {route("", {}, {header("a", "1")}), route("", {}, {header("b", "1")})}, true},
      {"header and query", {route("", {}, {header("a", "1")}), route("", {}, {query("a", "1")})}, true},
      {"one more of each",
       {route("", {}, {header("a", "1"), header("b", "1")}),
        route("", {}, {header("a", "1"), header("c", "1")})},
       true},
      {"slash twice", {route("/"), route("/")}, true},
      {"other priority", {route("/a"), route("/a", {}, {}, 1)}, false},
      {"explicit method", {route("/a"), route("/a", {"GET"})}, false},
      {"other methods", {route("/a", {"GET"}), route("/a", {"POST"})}, false},
      {"other methods of our own", {route("/a", {"BAN"}), route("/a", {"PURGE"})}, false},
      {"GET and HEAD", {route("/a", {"GET"}), route("/a", {"HEAD"})}, false},
      {"excluding values", {route("", {}, {header("A", "1")}), route("", {}, {header("a", "2")})}, false},
      {"excluding body values",
       {route("", {}, {body("$.a", "1")}), route("", {}, {body("$.a", "2")})},
       false},
      {"excluding in one",
       {route("", {}, {header("a", "1"), header("b", "1")}),
        route("", {}, {header("a", "2"), header("c", "1")})},
       false},
      {"trailing slash", {route("/a"), route("/a/")}, false},
      {"case", {route("/a"), route("/A")}, false},
  };
  for (const TieCase& c : cases) {
    auto router = ApiRouter::build(c.routes);
    EXPECT_EQ(!router, c.ties) << c.name;
    if (router) continue;
    ASSERT_EQ(router.error().size(), 1u) << c.name;
    EXPECT_EQ(router.error()[0].kind, BuildError::Kind::kTie);
    EXPECT_EQ(router.error()[0].first, 0u);
    EXPECT_EQ(router.error()[0].second, 1u);
  }
}
TEST(Router, TieIsNamed) {
  RouteSpec a = route("/x"), b = route("/x");
  a.name = "alpha";
  b.name = "beta";
  auto router = ApiRouter::build(std::vector{a, b});
  ASSERT_FALSE(router);
  EXPECT_NE(router.error()[0].message.find("`alpha` and `beta`"), std::string::npos);
}
TEST(Router, ManyTiesAreReportedUpToABound) {
  std::vector<RouteSpec> routes(500, route("/a"));
  auto router = ApiRouter::build(routes);
  ASSERT_FALSE(router);
  EXPECT_EQ(router.error().size(), kMaxBuildErrors);
}

TEST(Router, RefusesWhatCouldNeverMatch) {
  const std::vector<std::pair<RouteSpec, BuildError::Kind>> cases = {
      {route("a"), BuildError::Kind::kPath},
      {route("/a", {"get"}), BuildError::Kind::kMethod},
      {route("/a", {"G T"}), BuildError::Kind::kMethod},
      {route("/a", {""}), BuildError::Kind::kMethod},
      {route("/a", {}, {header("", "1")}), BuildError::Kind::kCondition},
      {route("/a", {}, {header("a b", "1")}), BuildError::Kind::kCondition},
      {route("/a", {}, {header("a", " 1")}), BuildError::Kind::kCondition},
      {route("/a", {}, {header("a", "1"), header("A", "2")}), BuildError::Kind::kCondition},
      {route("/a", {}, {body("kind", "1")}), BuildError::Kind::kCondition},
      {route("/a", {}, std::vector<ConditionSpec>(kMaxConditions + 1, query("a", "1"))),
       BuildError::Kind::kLimit},
  };
  for (const auto& [spec, kind] : cases) {
    auto router = ApiRouter::build(std::vector{route("/good"), spec});
    ASSERT_FALSE(router) << spec.path;
    EXPECT_EQ(router.error()[0].kind, kind) << router.error()[0].message;
    EXPECT_EQ(router.error()[0].first, 1u);
  }
}

TEST(Router, TenThousandRoutesStaySmall) {
  std::vector<RouteSpec> routes;
  for (int i = 0; i < 10'000; ++i)
    routes.push_back(route("/resource" + std::to_string(i) + "/{id}/items/{item}", {"GET", "PUT"}));
  auto router = ApiRouter::build(routes);
  ASSERT_TRUE(router);
  EXPECT_LT((*router)->memory_bytes(), 4u << 20);
}

}  // namespace
}  // namespace sluice::gateway::testing
