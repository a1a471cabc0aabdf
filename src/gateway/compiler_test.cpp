#include "gateway/compiler.h"

#include "gateway/gateway_fixture.h"
#include "gateway/policy_fixture.h"

namespace sluice::gateway::testing {
namespace {

const MarkPolicies kPolicies;
const EchoHandlers kHandlers;

class CompilerTest : public GatewayTest {
 protected:
  CompilerTest() : GatewayTest(kPolicies, kHandlers) {}

  /// Compiles onto what `take` took last.
  SnapshotChange take(std::string_view document) {
    auto compiled = compile(document);
    EXPECT_TRUE(compiled) << problems;
    if (!compiled) return {};
    snapshot = compiled->change.next;
    return compiled->change;
  }
  static const ApiNode& api(const SnapshotChange& change, std::string_view name) {
    for (const auto& node : change.next->apis)
      if (node->entry.spec.name == name) return *node;
    throw std::runtime_error("no such API");
  }
};

constexpr std::string_view kTwoApis =
    "apis:\n"
    "  a: { path: /a, upstream: any, routes: [ { name: r, path: /r }, { name: s, path: /s } ] }\n"
    "  b: { path: /b, upstream: any }\n";

TEST_F(CompilerTest, TheSameDocumentGivesTheSameNodes) {
  SnapshotChange first = take(kTwoApis);
  SnapshotChange second = take(kTwoApis);
  EXPECT_EQ(first.next->apis, second.next->apis);
  EXPECT_EQ(second.next->revision, first.next->revision + 1);
  ASSERT_EQ(second.retired.size(), 1u) << "the gateway's own answers only";
  EXPECT_EQ(second.retired[0], first.next->unmatched);
}

TEST_F(CompilerTest, AChangedRouteReplacesItsPlanOnly) {
  SnapshotChange first = take(kTwoApis);
  SnapshotChange second = take(
      "apis:\n"
      "  a: { path: /a, upstream: any, routes: [ { name: r, path: /r }, { name: s, path: /s, methods: [GET] "
      "} ] }\n"
      "  b: { path: /b, upstream: any }\n");
  EXPECT_EQ(&api(first, "b"), &api(second, "b"));
  const ApiNode& before = api(first, "a");
  const ApiNode& after = api(second, "a");
  EXPECT_NE(&before, &after);
  EXPECT_EQ(before.routes[0], after.routes[0]);
  EXPECT_NE(before.routes[1], after.routes[1]);
  std::set<std::shared_ptr<const RoutePlan>> retired(second.retired.begin(), second.retired.end());
  std::set<std::shared_ptr<const RoutePlan>> gone{before.routes[1], before.unmatched, first.next->unmatched};
  EXPECT_EQ(retired, gone);
}

TEST_F(CompilerTest, ARemovedApiRetiresItsPlans) {
  SnapshotChange first = take(kTwoApis);
  SnapshotChange second = take("apis: { b: { path: /b, upstream: any } }\n");
  EXPECT_EQ(&api(first, "b"), &api(second, "b"));
  const ApiNode& gone = api(first, "a");
  std::set<std::shared_ptr<const RoutePlan>> retired(second.retired.begin(), second.retired.end());
  EXPECT_EQ(retired, (std::set<std::shared_ptr<const RoutePlan>>{gone.routes[0], gone.routes[1],
                                                                 gone.unmatched, first.next->unmatched}));
}

TEST_F(CompilerTest, WhatARouteInheritsChangesIt) {
  constexpr std::string_view kBefore =
      "version: 1\nupstreams: { u: { targets: [ http://127.0.0.1:1 ] } }\n"
      "apis: { a: { upstream: u, routes: [ { name: r } ] }, b: { path: /b, upstream: v } }\n";
  std::string before(kBefore);
  auto with = [&](std::string_view from, std::string_view to) {
    std::string text = before;
    text.replace(text.find(from), from.size(), to);
    return text;
  };
  before = with("u: { targets", "v: { targets: [ http://127.0.0.1:2 ] }, u: { targets");
  struct Case {
    std::string_view what;
    std::string after;
    bool other_api_too;
  };
  for (const Case& each : {
           Case{"its upstream", with("127.0.0.1:1 ]", "127.0.0.1:1, http://127.0.0.1:3 ]"), false},
           Case{"its API", with("upstream: u,", "upstream: u, limits: { request_body: 1KiB },"), false},
           Case{"the gateway", with("upstreams", "gateway: { limits: { request_body: 1KiB } }\nupstreams"),
                true},
           Case{"the gateway's policies", with("upstreams", "policies: [ { mark: { note: g } } ]\nupstreams"),
                true},
       }) {
    SnapshotChange first = take(before);
    SnapshotChange second = take(each.after);
    EXPECT_NE(api(first, "a").routes[0], api(second, "a").routes[0]) << each.what;
    EXPECT_EQ(&api(first, "b") != &api(second, "b"), each.other_api_too) << each.what;
  }
}

TEST_F(CompilerTest, EqualChainsAreShared) {
  SnapshotChange change = take(
      "policies: [ { mark: { note: g } } ]\n"
      "apis: { a: { path: /a, upstream: any, routes: [ { name: r, path: /r }, { name: s, path: /s, policies: "
      "[ { mark: { id: o, note: o } } ] } ] },\n"
      "  b: { path: /b, upstream: any } }\n");
  EXPECT_EQ(api(change, "a").routes[0]->chain, api(change, "b").routes[0]->chain);
  const Chain& longer = *api(change, "a").routes[1]->chain;
  ASSERT_EQ(longer.links.size(), 2u);
  EXPECT_EQ(longer.links[0].policy, api(change, "b").routes[0]->chain->links[0].policy);
}

// Contract, section 2 "Reload": what did not change keeps its state.
TEST_F(CompilerTest, AnUnchangedPolicyIsTheSameObject) {
  auto document = [](std::string_view path) {
    return "apis: { a: { path: " + std::string(path) +
           ", upstream: any, policies: [ { mark: { note: a } } ] } }\n";
  };
  SnapshotChange first = take(document("/a"));
  SnapshotChange second = take(document("/b"));
  EXPECT_NE(api(first, "a").routes[0], api(second, "a").routes[0]);
  EXPECT_EQ(api(first, "a").routes[0]->chain, api(second, "a").routes[0]->chain);
}

TEST_F(CompilerTest, AListenerKeepsItsNumber) {
  auto document = [](std::string_view listeners) {
    return "version: 1\ngateway: { listen: [" + std::string(listeners) +
           "] }\nupstreams: { any: { targets: [ http://127.0.0.1:9000 ] } }\napis: { a: { upstream: any } "
           "}\n";
  };
  constexpr std::string_view kX = "{ name: x, address: 127.0.0.1:1 }";
  constexpr std::string_view kY = "{ name: y, address: 127.0.0.1:2 }";
  SnapshotChange first = take(document(std::string(kX) + ", " + std::string(kY)));
  SnapshotChange second = take(document(kY));
  ASSERT_EQ(second.next->listeners.size(), 1u);
  EXPECT_EQ(second.next->listeners[0].number, first.next->listeners[1].number);
  SnapshotChange third = take(document("{ name: z, address: 127.0.0.1:1 }"));
  EXPECT_EQ(third.next->listeners[0].number, 2) << "a number is never given to another name";
}

struct Refused {
  std::string_view name;
  std::string_view document;
  std::string_view at;  // the problem's beginning
  std::vector<std::string_view> says;
};

class CompilerRefuses : public CompilerTest, public ::testing::WithParamInterface<Refused> {};

TEST_P(CompilerRefuses, AtItsPlace) {
  SnapshotChange before = take(kTwoApis);
  EXPECT_EQ(compile(GetParam().document), nullptr);
  EXPECT_TRUE(problems.starts_with(GetParam().at)) << problems;
  for (std::string_view part : GetParam().says) EXPECT_NE(problems.find(part), std::string::npos) << problems;
  SnapshotChange after = take(kTwoApis);
  EXPECT_EQ(after.next->revision, before.next->revision + 1) << "a refused document is no revision";
  EXPECT_EQ(before.next->apis, after.next->apis) << "and changes nothing";
}

INSTANTIATE_TEST_SUITE_P(
    Documents, CompilerRefuses,
    ::testing::Values(
        // Contract, section 2 "Matching": what still ties is a configuration error that names both.
        Refused{"AmbiguousRoutes",
                "apis:\n  a:\n    upstream: any\n    routes:\n      - { name: one, path: \"/{x}\" }\n"
                "      - { name: two, path: \"/{y}\" }\n",
                "5:9 route-matching: ",
                {"`one`", "`two`"}},
        Refused{"AmbiguousApis",
                "apis:\n  a: { path: /x, upstream: any }\n  b: { path: /x, upstream: any }\n",
                "2:",
                {"3 api-matching: ", "`a`", "`b`"}},
        Refused{"APolicysOwnProblem",
                "apis:\n  a:\n    upstream: any\n    policies:\n      - mark: { note: bad }\n",
                "5:",
                {" policy: `mark`: this note is refused"}},
        Refused{"AnActionsProblem",
                "apis:\n  a:\n    routes:\n      - { name: r, respond: { body: refuse } }\n",
                "4:",
                {" route-action: this action is refused"}},
        Refused{
            "OneKeyForTwoConsumers",
            "apis: { a: { upstream: any } }\nconsumers:\n  one: { credentials: [ { api_key: same-key } ] }\n"
            "  two: { credentials: [ { api_key: same-key } ] }\n",
            "4:",
            {" duplicate-credential: ", "`one`"}},
        Refused{"OneKeyTwice",
                "apis: { a: { upstream: any } }\nconsumers:\n  one:\n    credentials:\n"
                "      - { api_key: same-key }\n      - { api_key: same-key }\n",
                "6:",
                {" duplicate-credential: "}}),
    [](const auto& each) { return std::string(each.param.name); });

TEST_F(CompilerTest, NeverSaysASecret) {
  EXPECT_EQ(compile("apis: { a: { upstream: any } }\nconsumers: { one: { credentials: [ { api_key: hunter2 "
                    "}, { api_key: hunter2 } ] } }\n"),
            nullptr);
  EXPECT_EQ(problems.find("hunter2"), std::string::npos) << "contract, section 2: secrets are never shown";
}

TEST_F(CompilerTest, GivesConsumersToTheCredentialTable) {
  auto compiled = compile(
      "apis: { a: { upstream: any } }\n"
      "consumers: { one: { groups: [g, h], credentials: [ { api_key: key-one-0123456789 }, { api_key: short "
      "} ] }, two: {} }\n");
  ASSERT_TRUE(compiled) << problems;
  ASSERT_EQ(compiled->credentials.consumers.size(), 2u);
  EXPECT_EQ(compiled->credentials.consumers[0].groups_text, "g, h");
  ASSERT_EQ(compiled->credentials.entries.size(), 2u);
  EXPECT_EQ(compiled->credentials.entries[0].consumer, 0u);
  EXPECT_EQ(compiled->credentials.entries[0].prefix.view(), "key-");
  EXPECT_EQ(compiled->credentials.entries[1].prefix.view(), "");
}

TEST_F(CompilerTest, TheInnerLevelWins) {
  SnapshotChange change = take(
      "version: 1\ngateway: { timeouts: { total: 9s }, limits: { request_body: 9KiB }, access_log: { format: "
      "text } }\n"
      "upstreams: { any: { targets: [ http://127.0.0.1:9000 ] } }\n"
      "apis: { a: { upstream: any, limits: { request_body: 5KiB }, routes: [ { name: r, path: /r },\n"
      "  { name: s, path: /s, timeouts: { total: 1s }, limits: { request_body: 1KiB }, access_log: { format: "
      "off } } ] } }\n");
  const RoutePlan& r = *api(change, "a").routes[0];
  EXPECT_EQ(r.total, 9s);
  EXPECT_EQ(r.request_body, 5u * 1024);
  EXPECT_TRUE(r.log);
  const RoutePlan& s = *api(change, "a").routes[1];
  EXPECT_EQ(s.total, 1s);
  EXPECT_EQ(s.request_body, 1024u);
  EXPECT_FALSE(s.log);
  EXPECT_EQ(change.next->unmatched->request_body, 9u * 1024);
}

}  // namespace
}  // namespace sluice::gateway::testing
