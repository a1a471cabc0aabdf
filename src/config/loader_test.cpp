#include "config/loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/testing.h"

namespace sluice::config {
namespace {

using testing::environment_of;
using ::testing::HasSubstr;
using testing::load_sample;
using testing::options_of;

constexpr std::string_view kUpstream =
    "version: 1\nupstreams: { users: { targets: [http://127.0.0.1:7001] } }\n";

/// The first problem of kUpstream with more lines behind, as "line:column message"; lines count from 3.
std::string problem_of(std::string_view lines) {
  const auto result = load_sample(std::string(kUpstream) + std::string(lines));
  if (result.diagnostics.problems().empty()) return "";
  const Problem& first = result.diagnostics.problems()[0];
  return std::to_string(first.at.line) + ":" + std::to_string(first.at.column) + " " + first.message;
}

TEST(Loader, AMistypedKeyIsShownWithItsLineAndTheNearestName) {
  const auto result = load_sample("version: 1\ngatway:\n  workers: auto\n");
  EXPECT_EQ(result.diagnostics.render_text(),
            "a.yaml:2:1: error: unknown key `gatway`; did you mean `gateway`?\n"
            "    gatway:\n"
            "    ^~~~~~\n"
            "1 error\n");
}

TEST(Loader, TheSmallestDocumentHasTheDefaultsOfTheContract) {
  const auto result = load_sample("version: 1\n");
  ASSERT_TRUE(result.ok()) << result.diagnostics.render_text();
  const Gateway& gateway = result.document.gateway;
  ASSERT_EQ(gateway.listen.size(), 1u);
  EXPECT_EQ(to_text(gateway.listen[0].address), "0.0.0.0:8080");
  EXPECT_EQ(to_text(gateway.status.address), "127.0.0.1:8081");
  EXPECT_EQ(gateway.limits.request_head, kibibytes(32));
  EXPECT_EQ(gateway.timeouts.keep_alive, std::chrono::seconds(75));
  EXPECT_EQ(gateway.workers.count, 0u);
}

TEST(Loader, VersionOneIsAsked) {
  EXPECT_EQ(load_sample("gateway: {}\n").diagnostics.problems()[0].message, "`version` is missing");
  EXPECT_EQ(load_sample("version: 2\n").diagnostics.problems()[0].message, "`version` must be 1");
  EXPECT_THAT(load_sample("").diagnostics.problems()[0].message, HasSubstr("expected a mapping"));
}

TEST(Loader, WhatRefersToNothingNamesTheNearest) {
  EXPECT_EQ(problem_of("apis: { a: { upstream: user } }\n"),
            "3:24 there is no upstream `user`; did you mean `users`?");
  EXPECT_EQ(problem_of("apis: { a: { split: [ { upstream: users }, { upstream: x } ] } }\n"),
            "3:56 there is no upstream `x`");
  EXPECT_EQ(problem_of("apis: { a: { upstream: users, listeners: [defalt] } }\n"),
            "3:43 there is no listener `defalt`; did you mean `default`?");
  EXPECT_EQ(problem_of("chains: { partner: [] }\npolicies: [ { use: partnr } ]\n"),
            "4:20 there is no chain `partnr`; did you mean `partner`?");
  EXPECT_EQ(problem_of("policies: [ { api_kay: {} } ]\n"),
            "3:15 there is no policy `api_kay`; did you mean `api_key`?");
  EXPECT_EQ(problem_of("apis: { a: { routes: [ { name: r, upstream: none } ] } }\n"),
            "3:45 there is no upstream `none`");
}

TEST(Loader, PolicyEntriesCarryWhatEveryPolicyTakes) {
  const auto result = load_sample(
      "version: 1\npolicies:\n  - api_key: { id: k, in: query, locked: true, dry_run: true }\n"
      "  - rate_limit: { rate: 5/1s, key: address }\n");
  ASSERT_TRUE(result.ok()) << result.diagnostics.render_text();
  const PolicyEntry& key = result.document.policies[0];
  EXPECT_EQ(key.type, "api_key");
  EXPECT_EQ(key.id, "k");
  EXPECT_TRUE(key.locked);
  EXPECT_TRUE(key.dry_run);
  EXPECT_EQ(key.origin, (Position{0, 3, 5}));
  ASSERT_EQ(key.schema_of_config, &testing::SampleKey::schema());
  EXPECT_EQ(key.config_as<testing::SampleKey>().in, testing::SampleIn::kQuery);
  const PolicyEntry& limit = result.document.policies[1];
  EXPECT_EQ(limit.id, "rate_limit");
  EXPECT_EQ(limit.config_as<testing::SampleLimit>().key, std::vector<std::string>{"address"});
}

TEST(Loader, PolicyMistakesPointAtTheirPlace) {
  EXPECT_EQ(problem_of("policies: [ { rate_limit: { burst: 5 } } ]\n"), "3:27 `rate` is missing");
  EXPECT_EQ(problem_of("policies: [ { rate_limit: { enabled: false } } ]\n"), "");
  EXPECT_EQ(problem_of("policies: [ { api_key: { nam: x } } ]\n"),
            "3:26 unknown key `nam`; did you mean `name`?");
  EXPECT_EQ(problem_of("policies: [ { api_key: { enable: false } } ]\n"),
            "3:26 unknown key `enable`; did you mean `enabled`?");
  EXPECT_EQ(problem_of("policies:\n  - api_key:\n    name: x\n"),
            "5:5 a policy has one key, its type; indent its fields below `api_key`, or start the next one "
            "with `-`");
  EXPECT_EQ(problem_of("policies:\n  - api_key:\n"),
            "4:13 expected the fields of `api_key`, found nothing; write `{}` for the defaults");
  EXPECT_EQ(problem_of("policies: [ api_key ]\n"),
            "3:13 expected a policy, `TYPE: {...}` or `use: CHAIN`, found the string `api_key`");
  EXPECT_EQ(problem_of("policies: [ { api_key: { in: cookie } } ]\n"),
            "3:30 `cookie` is not supported in this version");
}

TEST(Loader, ChainsStandInPlaceOfUse) {
  const auto result = load_sample(
      "version: 1\n"
      "chains:\n  outer: [ { api_key: {} }, { use: inner } ]\n  inner: [ { rate_limit: { rate: 1/1s } } ]\n"
      "policies: [ { use: outer }, { api_key: { id: second } } ]\n");
  ASSERT_TRUE(result.ok()) << result.diagnostics.render_text();
  std::string ids;
  for (const PolicyEntry& entry : result.document.policies) ids += entry.id + " ";
  EXPECT_EQ(ids, "api_key rate_limit second ");
}

TEST(Loader, ChainsThatUseThemselvesAreErrors) {
  EXPECT_EQ(problem_of("chains: { a: [ { use: b } ], b: [ { use: a } ] }\n"),
            "3:42 the chain `a` uses itself");
  EXPECT_EQ(problem_of("chains: { a: [ { use: a } ] }\n"), "3:23 the chain `a` uses itself");
}

TEST(Loader, ChainsDoNotGrowWithoutBound) {
  std::string text = "version: 1\nchains:\n  c0: [ { api_key: {} }, { api_key: { id: b } } ]\n";
  for (int i = 1; i < 40; ++i) {
    const std::string before = "c" + std::to_string(i - 1);
    text += "  c" + std::to_string(i) + ": [ { use: " + before + " }, { use: " + before + " } ]\n";
  }
  const auto result = load_sample(text);
  EXPECT_FALSE(result.ok());
  EXPECT_EQ(result.diagnostics.problems()[0].rule, "too-many-policies");
}

TEST(Loader, OneTypeAndIdStandsOnceALevel) {
  EXPECT_EQ(problem_of("policies: [ { api_key: {} }, { api_key: { id: b } } ]\n"), "");
  EXPECT_EQ(problem_of("policies: [ { api_key: {} }, { api_key: {} } ]\n"),
            "3:32 `api_key` stands twice at this level, first at a.yaml:3:15; give one an `id` of its own");
}

// Contract, "Chains": a deeper level never replaces or switches off what is locked.
TEST(Loader, WhatIsLockedCannotBeChangedFurtherIn) {
  EXPECT_EQ(problem_of("policies: [ { api_key: { locked: true } } ]\n"
                       "apis: { a: { upstream: users, policies: [ { api_key: { enabled: false } } ] } }\n"),
            "4:45 `api_key` is locked by the gateway at a.yaml:3:15");
  EXPECT_EQ(problem_of("apis: { a: { upstream: users, policies: [ { api_key: { locked: true, id: x } } ],\n"
                       "  routes: [ { name: r, policies: [ { api_key: { id: x } } ] } ] } }\n"),
            "4:38 `api_key` with the id `x` is locked by the api at a.yaml:3:45");
}

TEST(Loader, ARouteHasExactlyOneAction) {
  EXPECT_EQ(problem_of("apis: { a: { routes: [ { name: r } ] } }\n"),
            "3:24 the route has no `upstream`, `split`, `respond` or `redirect`, and its API has no upstream "
            "either");
  EXPECT_EQ(
      problem_of(
          "apis: { a: { upstream: users, routes: [ { name: r, respond: {}, redirect: { to: /x } } ] } }\n"),
      "3:75 `redirect` and `respond` exclude each other: a route has one action");
  EXPECT_EQ(problem_of("apis: { a: { upstream: users, split: [ { upstream: users } ] } }\n"),
            "3:38 `split` and `upstream` exclude each other");
  EXPECT_EQ(problem_of("apis: { a: { path: /a } }\n"),
            "3:9 the API `a` has neither an `upstream` nor `routes`");
  EXPECT_EQ(problem_of("apis: { a: { routes: [ { name: r, respond: {} } ] } }\n"), "");
}

TEST(Loader, DuplicatesNameBothPlaces) {
  EXPECT_EQ(
      problem_of(
          "gateway: { listen: [ { name: a, address: 0.0.0.0:1 }, { name: a, address: 0.0.0.0:2 } ] }\n"),
      "3:63 the listener `a` is already defined at a.yaml:3:22");
  EXPECT_EQ(
      problem_of(
          "gateway: { listen: [ { name: a, address: 0.0.0.0:1 }, { name: b, address: 0.0.0.0:1 } ] }\n"),
      "3:75 `0.0.0.0:1` is already taken by the listener `a`");
  EXPECT_EQ(problem_of("gateway: { listen: [ { name: a, address: 127.0.0.1:8081 } ] }\n"),
            "3:42 `127.0.0.1:8081` is already taken by the status address");
  EXPECT_EQ(problem_of("apis: { a: { upstream: users, routes: [ { name: r }, { name: r, path: /x } ] } }\n"),
            "3:62 the route `r` is already defined at a.yaml:3:41");
  EXPECT_EQ(
      problem_of(
          "consumers: { a: { credentials: [ { api_key: k } ] }, b: { credentials: [ { api_key: k } ] } }\n"),
      "3:85 this key already belongs to the consumer `a`");
}

TEST(Loader, WrongValuesAreRefused) {
  const std::pair<std::string_view, std::string_view> kCases[] = {
      {"gateway: { io: kqueue }\n",
       "3:16 expected one of `auto`, `epoll`, `io_uring`, found the string `kqueue`"},
      {"gateway: { workers: 0 }\n", "3:21 expected `auto` or a number from 1 to 1024, found the number `0`"},
      {"gateway: { statuss: x }\n", "3:12 unknown key `statuss`; did you mean `status`?"},
      {"apis: { 'a b': { upstream: users } }\n",
       "3:9 a name is made of letters, digits, `.`, `_` and `-`, 253 at most"},
      {"apis: { a: { upstream: users, path: x } }\n", "3:37 a path starts with `/`"},
      {"apis: { a: { upstream: users, path: '/{id}' } }\n",
       "3:37 an API's path is a plain prefix; parameters belong to its routes"},
      {"apis: { a: { upstream: users, path: /a/../b } }\n",
       "3:37 a path has no `.` or `..` segments: requests are matched without them"},
      {"apis: { a: { upstream: users, hosts: ['a:80'] } }\n",
       "3:39 expected a host name, or `*.suffix`, without a port"},
      {"apis: { a: { upstream: users, routes: [ { name: r, methods: [get] } ] } }\n",
       "3:62 methods are case-sensitive and written in capitals; did you mean `GET`?"},
      {"apis: { a: { upstream: users, routes: [ { name: r, methods: [TRACE] } ] } }\n",
       "3:62 `TRACE` is never routed; it is answered with 405"},
      {"apis: { a: { upstream: users, routes: [ { name: r, match: { body: { x: 1 } } } ] } }\n",
       "3:69 expected a path into a JSON body such as `$.a.b[0]`"},
      {"apis: { a: { routes: [ { name: r, redirect: { to: /x, status: 304 } } ] } }\n",
       "3:63 expected one of 301, 302, 303, 307, 308"},
      {"apis: { a: { routes: [ { name: r, respond: { headers: { 'a b': c } } } ] } }\n",
       "3:57 not the name of a header field"},
      {"apis: { a: { routes: [ { name: r, respond: { headers: { a: \"b\\nc\" } } } ] } }\n",
       "3:60 not the value of a header field"},
      {"consumers: { a: { credentials: [ {} ] } }\n", "3:34 a credential needs its kind: `api_key`"},
      {"control: { listen: 127.0.0.1:9080 }\n", "3:1 unknown key `control`"},
  };
  for (const auto& [lines, problem] : kCases) EXPECT_EQ(problem_of(lines), problem);
}

TEST(Loader, UpstreamMistakesAreRefused) {
  const std::pair<std::string_view, std::string_view> kCases[] = {
      {"targets: []", "1:42 `targets` needs at least 1 item"},
      {"balance: p2d, targets: [http://h]",
       "1:42 expected one of `round_robin`, `least_requests`, `random`, `p2c`, `peak_ewma`, found the string "
       "`p2d`; did you mean "
       "`p2c`?"},
      {"balance: { hash: headr:x }, targets: [http://h]",
       "1:50 expected `address`, `consumer`, `header:NAME`, `cookie:NAME`, `query:NAME` or `parameter:NAME`, "
       "found the string `headr:x`"},
      {"balance: { hash: { key: address, bounded_load: 90% } }, targets: [http://h]",
       "1:80 must be more than `100%`"},
      {"targets: [http://h], health: { active: { path: healthz } }",
       "1:80 must be a path such as `/healthz`"},
      {"targets: [http://h], health: { active: { type: tcp, path: /h } }",
       "1:91 `path` is of `type: http` alone"},
      {"targets: [http://h], health: { active: { type: grpc } }",
       "1:80 `type: grpc` needs an upstream with `protocol: h2c` or `h2`"},
      {"targets: [http://h], health: { active: { statuses: [299-200] } }",
       "1:85 expected the smaller status first"},
      {"targets: [http://h], health: { passive: { max_ejected: 101% } }", "1:88 must be at most `100%`"},
      {"targets: [http://h], health: { passive: { eject_for: 10m } }",
       "1:73 `max_eject_for` must not be shorter than `eject_for`"},
      {"targets: [http://h], circuit_breaker: { max_requests: 0 }", "1:87 `max_requests` must be at least 1"},
      {"targets: [http://h], retry: { budget: 20 }",
       "1:71 expected a percentage such as `50%`, found the number `20`"},
      {"targets: [ { url: http://h, weight: 0 } ]", "1:42 no target takes requests: all weights are 0"},
      {"targets: [http://h], retry: { on: [rest] }",
       "1:68 expected `connect_failure`, `reset`, `timeout`, a status from 400 to 599 or one of gRPC such as "
       "`unavailable`; did you mean "
       "`reset`?"},
      {"targets: [http://h], retry: { attempts: 0 }", "1:73 `attempts` must be from 1 to 10"},
      {"targets: [https://h], tls: { ca: x }", "1:66 there is no entry `x` in `trust`"},
      {"targets: [https://h], tls: { certificate: x }", "1:75 there is no entry `x` in `certificates`"},
      {"targets: [http://h], protocol: h2", "1:64 `h2` is HTTP/2 over TLS, for targets with `https://`"},
      {"targets: [https://h], protocol: h2c",
       "1:65 `h2c` is HTTP/2 in the clear, for targets with `http://`"},
      {"targets: [http://h], protocol: h2c, proxy_protocol: v2",
       "1:64 connections of `h2c` carry the requests of many clients, and one that begins with a PROXY "
       "header "
       "is for one client alone: `protocol: h1`, or no `proxy_protocol`"},
      {"targets: [https://h], protocol: h2, proxy_protocol: v1",
       "1:65 connections of `h2` carry the requests of many clients, and one that begins with a PROXY header "
       "is for one client alone: `protocol: h1`, or no `proxy_protocol`"}};
  for (const auto& [fields, problem] : kCases) {
    const auto result = load_sample("{ version: 1, upstreams: { u: { " + std::string(fields) + " } } }");
    ASSERT_EQ(result.diagnostics.problems().size(), 1u) << result.diagnostics.render_text();
    const Problem& first = result.diagnostics.problems()[0];
    EXPECT_EQ("1:" + std::to_string(first.at.column) + " " + first.message, problem);
  }
}

TEST(Loader, MapsKeepTheOrderOfTheDocument) {
  const auto result = load_sample(
      std::string(kUpstream) +
      "apis: { z: { upstream: users, hosts: [API.Example.com] }, a: { upstream: users, path: /a/ } }\n");
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result.document.apis[0].first, "z");
  EXPECT_EQ(result.document.apis[1].first, "a");
  EXPECT_EQ(result.document.apis[0].second.hosts[0], "api.example.com");
  EXPECT_EQ(result.document.apis[1].second.path, "/a");
  EXPECT_EQ(result.document.describe(result.document.apis[1].second.origin), "a.yaml:3:59");
}

TEST(Loader, SeveralFilesAndIncludesMerge) {
  const auto environment =
      environment_of({}, {{"conf/main.yaml", "version: 1\ninclude: [ 'apis/*.yaml', up.yaml ]\n"},
                          {"conf/up.yaml", "upstreams: { u: { targets: [http://h] } }\n"},
                          {"conf/apis/a.yaml", "apis: { a: { upstream: u, path: /a } }\n"},
                          {"conf/apis/b.yaml", "apis: { b: { upstream: u, path: '${file:p}' } }\n"},
                          {"conf/apis/p", "/b\n"},
                          {"more.yaml", "version: 1\nconsumers: { c: {} }\n"}});
  const auto result = load_files({"conf/main.yaml", "more.yaml"}, options_of(environment));
  ASSERT_TRUE(result.ok()) << result.diagnostics.render_text();
  EXPECT_EQ(result.document.apis[1].second.path, "/b");
  EXPECT_EQ(result.document.consumers.size(), 1u);
  EXPECT_EQ(result.files, (std::vector<std::string>{"conf/main.yaml", "conf/apis/a.yaml", "conf/apis/b.yaml",
                                                    "conf/apis/p", "conf/up.yaml", "more.yaml"}));
}

TEST(Loader, TwoDefinitionsOfOneNameNameBothPlaces) {
  const auto environment = environment_of(
      {}, {{"a.yaml", "version: 1\nupstreams:\n  u: { targets: [http://h] }\npolicies: []\n"},
           {"b.yaml", "version: 1\nupstreams:\n  u: { targets: [http://i] }\npolicies: []\n"}});
  const auto result = load_files({"a.yaml", "b.yaml"}, options_of(environment));
  EXPECT_THAT(result.diagnostics.render_text(),
              HasSubstr("b.yaml:3:3: error: the upstream `u` is already defined at a.yaml:3:3\n"));
  EXPECT_THAT(result.diagnostics.render_text(),
              HasSubstr("b.yaml:4:11: error: `policies` is already given at a.yaml:4:11\n"));
}

TEST(Loader, OfAKeyGivenTwiceTheFirstCounts) {
  const auto result = load_sample(
      "version: 1\nupstreams: { u: { targets: [http://h] } }\n"
      "upstreams: { v: { targets: [http://i] }, w: { targets: [http://j] } }\n");
  EXPECT_EQ(testing::summary(result.diagnostics), "3:1 duplicate-key\n");
  ASSERT_EQ(result.document.upstreams.size(), 1u);
  EXPECT_EQ(result.document.upstreams[0].first, "u");
}

TEST(Loader, FilesThatCannotBeReadAreNamedWhereTheyWereAskedFor) {
  const auto environment = environment_of({}, {{"a.yaml", "version: 1\ninclude: none.yaml\n"}});
  EXPECT_THAT(load_files({"a.yaml"}, options_of(environment)).diagnostics.render_text(),
              HasSubstr("a.yaml:2:10: error: cannot read `none.yaml`: No such file or directory\n"));
  const auto missing = load_files({"none.yaml"}, options_of(environment));
  EXPECT_THAT(missing.diagnostics.render_text(), HasSubstr("error: cannot read `none.yaml`: No such file"));
  EXPECT_EQ(missing.files, std::vector<std::string>{"none.yaml"});
}

TEST(Loader, AFileThatIncludesItselfIsReadOnce) {
  const auto environment =
      environment_of({}, {{"a.yaml", "version: 1\ninclude: [a.yaml, '*.yaml']\napis: {}\n"}});
  EXPECT_TRUE(load_files({"a.yaml"}, options_of(environment)).ok());
}

TEST(Loader, ReferencesGiveNumbersTooAndTheirTextIsNeverShown) {
  const std::string text = "version: 1\ngateway: { workers: '${env:N}' }\n";
  const auto good = load_text(text, options_of(environment_of({{"N", "4"}})));
  EXPECT_EQ(good.document.gateway.workers.count, 4u);
  const auto bad = load_text(text, options_of(environment_of({{"N", "hunter2"}})));
  EXPECT_FALSE(bad.ok());
  EXPECT_EQ(bad.diagnostics.render_text().find("hunter2"), std::string::npos);
}

TEST(Settings, TheInnerLevelWins) {
  const auto result = load_sample(
      "version: 1\nupstreams: { u: { targets: [http://h] } }\n"
      "gateway: { timeouts: { total: 1s }, access_log: { format: text } }\n"
      "apis:\n  a:\n    upstream: u\n    timeouts: { total: 2s }\n    limits: { request_body: 1MiB }\n"
      "    routes: [ { name: r, timeouts: { total: 0s }, access_log: { format: off } } ]\n");
  ASSERT_TRUE(result.ok()) << result.diagnostics.render_text();
  const Document& document = result.document;
  const Api& api = document.apis[0].second;
  const auto outer = effective_settings(document.gateway, nullptr, nullptr);
  EXPECT_EQ(outer.total, std::chrono::seconds(1));
  EXPECT_EQ(outer.request_body, mebibytes(16));
  const auto inner = effective_settings(document.gateway, &api, &api.routes[0]);
  EXPECT_EQ(inner.total, Duration(0));
  EXPECT_EQ(inner.request_body, mebibytes(1));
  EXPECT_EQ(inner.access_log, AccessLogFormat::kOff);
  EXPECT_EQ(effective_settings(document.gateway, &api, nullptr).access_log, AccessLogFormat::kText);
}

TEST(Chain, DeeperLevelsReplaceInPlaceAndSwitchOffByTypeAndId) {
  const auto entry = [](std::string type, std::string id, bool enabled = true, bool locked = false) {
    PolicyEntry out;
    out.type = std::move(type);
    out.id = std::move(id);
    out.enabled = enabled;
    out.locked = locked;
    return out;
  };
  const PolicyList gateway{entry("a", "a"), entry("b", "b"), entry("c", "c", true, true)};
  const PolicyList api{entry("a", "other"), entry("b", "b"), entry("c", "c", false)};
  const PolicyList route{entry("a", "a", false), entry("d", "d"), entry("e", "e", false)};
  std::string text;
  for (const ChainLink& link : resolve_chain(gateway, api, route))
    text += std::string(level_text(link.level)) + ":" + link.policy->type + "/" + link.policy->id + " ";
  EXPECT_EQ(text, "api:b/b gateway:c/c api:a/other route:d/d ");
}

}  // namespace
}  // namespace sluice::config
