#include "policies/policy_test_fixture.h"

namespace sluice::policies::testing {
namespace {

constexpr std::string_view kAnna = "X-API-Key: anna-key-0123456789\r\n";
constexpr std::string_view kAnnasOther = "X-API-Key: anna-other-key\r\n";
constexpr std::string_view kBen = "X-API-Key: ben-key\r\n";

class RateLimitTest : public PolicyTest {
 protected:
  /// How many of `count` requests pass.
  int passing(int count, std::string_view target = "/", std::string_view fields = {}) {
    int passed = 0;
    for (int i = 0; i < count; ++i) passed += get(target, fields).status == 200 ? 1 : 0;
    return passed;
  }
  void from(std::string_view source) { client_loop.set_source(*io::Address::parse_ip(source)); }
};

// Contract, section 2 "Rates": a burst of the rate's count, refilled evenly.
TEST_F(RateLimitTest, TheBurstIsExactAndRefilledEvenly) {
  start(chain("{ rate_limit: { rate: 10/1s } }"));
  EXPECT_EQ(passing(12), 10);
  world.run_for(99ms);
  EXPECT_EQ(passing(1), 0) << "one comes back every 100 ms";
  world.run_for(1ms);
  EXPECT_EQ(passing(3), 1) << "what is refused costs nothing";
  world.run_for(350ms);
  EXPECT_EQ(passing(5), 3);
  world.run_for(1h);
  EXPECT_EQ(passing(12), 10) << "never more than the burst";
}

// Contract, section 2 "Rates": "100/1m: at most 199 in any minute".
TEST_F(RateLimitTest, AtMostTwiceTheRateLessOneInAnyPeriod) {
  start(chain("{ rate_limit: { rate: 10/1s } }"));
  int passed = passing(11);
  for (int i = 0; i < 999; ++i) {
    world.run_for(1ms);
    passed += passing(1);
  }
  EXPECT_EQ(passed, 19);
}

TEST_F(RateLimitTest, TheBurstMayDifferFromTheRate) {
  start(chain("{ rate_limit: { rate: 10/1s, burst: 3 } }"));
  EXPECT_EQ(passing(5), 3);
  world.run_for(100ms);
  EXPECT_EQ(passing(2), 1);
  reload(chain("{ rate_limit: { rate: 1/1s, burst: 20 } }"));
  EXPECT_EQ(passing(25), 20);
}

TEST_F(RateLimitTest, AFixedWindowGivesItsRateInEachPeriod) {
  start(chain("{ rate_limit: { rate: 10/1h, algorithm: fixed_window } }"));
  EXPECT_EQ(passing(12), 10);
  world.run_for(30min);
  int passed = passing(12);
  world.run_for(30min);
  passed += passing(12);
  EXPECT_EQ(passed, 10) << "one boundary in an hour, wherever it is";
  EXPECT_FALSE(compile(chain("{ rate_limit: { rate: 10/1h, burst: 3, algorithm: fixed_window } }")));
  EXPECT_NE(problems.find("a window has no `burst`"), std::string::npos) << problems;
}

TEST_F(RateLimitTest, ARequestMayCostMore) {
  start(chain("{ rate_limit: { rate: 10/1s, cost: 3 } }"));
  EXPECT_EQ(passing(5), 3);
  world.run_for(199ms);
  EXPECT_EQ(passing(1), 0) << "one of ten is left";
  world.run_for(1ms);
  EXPECT_EQ(passing(2), 1);
}

// Contract, section 3: 429 carries an integer Retry-After of at least 1; fields as in
// draft-ietf-httpapi-ratelimit-headers-10.
TEST_F(RateLimitTest, TellsWhatIsLeft) {
  start(chain("{ rate_limit: { rate: 3/1m } }"));
  const std::string rest[] = {"2;t=20", "1;t=40", "0;t=60"};
  for (const std::string& each : rest) {
    Answer answer = get("/");
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.field("RateLimit-Policy"), "\"rate_limit\";q=3;w=60");
    EXPECT_EQ(answer.field("RateLimit"), "\"rate_limit\";r=" + each);
    EXPECT_EQ(answer.field("Retry-After"), "");
  }
  Answer refused = get("/");
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.code(), "rate_limited");
  EXPECT_EQ(refused.field("Retry-After"), "20");
  EXPECT_EQ(refused.field("RateLimit-Policy"), "\"rate_limit\";q=3;w=60");
  EXPECT_EQ(refused.field("RateLimit"), "\"rate_limit\";r=0;t=60");
  world.run_for(19'100ms);
  EXPECT_EQ(get("/").field("Retry-After"), "1") << "rounded up";
  EXPECT_EQ(metric("sluice_limited_total{policy=\"rate_limit\"}"), "2");
  EXPECT_EQ(metric("sluice_refused_total{code=\"rate_limited\"}"), "2");
}

TEST_F(RateLimitTest, WaitingAsLongAsRetryAfterSaysIsEnough) {
  start(chain("{ rate_limit: { rate: 7/1m } }"));
  EXPECT_EQ(passing(8), 7);
  world.run_for(std::chrono::seconds(std::stoi(get("/").field("Retry-After"))));
  EXPECT_EQ(passing(1), 1);
}

TEST_F(RateLimitTest, SeveralLimitsAreNamedByTheirIds) {
  start(chain("{ rate_limit: { id: burst, rate: 2/1s } }, { rate_limit: { id: day, rate: 100/1h } }"));
  Answer answer = get("/");
  EXPECT_EQ(answer.field("RateLimit-Policy"), "\"day\";q=100;w=3600 | \"burst\";q=2;w=1");
  EXPECT_EQ(answer.field("RateLimit"), "\"day\";r=99;t=36 | \"burst\";r=1;t=1");
  get("/");
  Answer refused = get("/");
  EXPECT_EQ(refused.field("RateLimit-Policy"), "\"burst\";q=2;w=1") << "the second one did not begin";
  EXPECT_EQ(metric("sluice_limited_total{policy=\"burst\"}"), "1");
}

/// One limit of one request; two callers of it share the limit or do not.
struct Sharing {
  std::string_view name;
  std::string_view key;
  bool knows_callers;
  std::string_view first_from, first_target, first_fields;
  std::string_view second_from, second_target, second_fields;
  bool shares;
};

class RateLimitKeys : public RateLimitTest, public ::testing::WithParamInterface<Sharing> {};

TEST_P(RateLimitKeys, DecideWhoSharesALimit) {
  const Sharing& each = GetParam();
  std::string policies = each.knows_callers ? "{ api_key: {} }, " : "";
  policies += "{ rate_limit: { rate: 1/1h, key: " + std::string(each.key) + " } }";
  start(
      "policies: [" + policies +
      "]\napis: { a: { path: /a, upstream: any, routes: [ { name: r, path: /r }, { name: s, path: /s } ] },\n"
      "  b: { path: /b, upstream: any, routes: [ { name: r, path: /r } ] } }\n" +
      std::string(kConsumers));
  from(each.first_from);
  EXPECT_EQ(get(each.first_target, each.first_fields).status, 200);
  EXPECT_EQ(get(each.first_target, each.first_fields).status, 429);
  from(each.second_from);
  EXPECT_EQ(get(each.second_target, each.second_fields).status, each.shares ? 429 : 200);
}

constexpr std::string_view kHere = "127.0.0.1";
constexpr std::string_view kThere = "127.0.0.2";

INSTANTIATE_TEST_SUITE_P(
    Keys, RateLimitKeys,
    ::testing::Values(
        Sharing{"OneConsumer", "consumer", true, kHere, "/a/r", kAnna, kThere, "/b/r", kAnnasOther, true},
        Sharing{"TwoConsumers", "consumer", true, kHere, "/a/r", kAnna, kHere, "/a/r", kBen, false},
        Sharing{"NoConsumerOneAddress", "consumer", false, kHere, "/a/r", "", kHere, "/b/r", kBen, true},
        Sharing{"NoConsumerTwoAddresses", "consumer", false, kHere, "/a/r", "", kThere, "/a/r", "", false},
        Sharing{"TwoCredentials", "credential", true, kHere, "/a/r", kAnna, kHere, "/a/r", kAnnasOther,
                false},
        Sharing{"OneCredential", "credential", true, kHere, "/a/r", kAnna, kThere, "/b/r", kAnna, true},
        Sharing{"NoCredentialTwoAddresses", "credential", false, kHere, "/a/r", "", kThere, "/a/r", "",
                false},
        Sharing{"OneAddress", "address", true, kHere, "/a/r", kAnna, kHere, "/b/r", kBen, true},
        Sharing{"TwoAddresses", "address", true, kHere, "/a/r", kAnna, kThere, "/a/r", kAnna, false},
        // The client behind a trusted proxy (contract, section 3 "Forwarding").
        Sharing{"TwoClientsOfAProxy", "address", false, "10.0.0.1", "/a/r", "X-Forwarded-For: 1.1.1.1\r\n",
                "10.0.0.1", "/a/r", "X-Forwarded-For: 1.1.1.2\r\n", false},
        Sharing{"OneClientOfTwoProxies", "address", false, "10.0.0.1", "/a/r", "X-Forwarded-For: 1.1.1.1\r\n",
                "10.0.0.2", "/a/r", "X-Forwarded-For: 6.6.6.6, 1.1.1.1\r\n", true},
        Sharing{"UntrustedPeersSayNothing", "address", false, kHere, "/a/r", "X-Forwarded-For: 1.1.1.1\r\n",
                kHere, "/a/r", "X-Forwarded-For: 1.1.1.2\r\n", true},
        Sharing{"OneApi", "api", false, kHere, "/a/r", "", kThere, "/a/s", "", true},
        Sharing{"TwoApis", "api", false, kHere, "/a/r", "", kHere, "/b/r", "", false},
        Sharing{"TwoRoutes", "route", false, kHere, "/a/r", "", kHere, "/a/s", "", false},
        Sharing{"TwoRoutesOfOneName", "route", false, kHere, "/a/r", "", kHere, "/b/r", "", false},
        Sharing{"OneRoute", "route", false, kHere, "/a/r", "", kThere, "/a/r", "", true},
        Sharing{"Gateway", "gateway", false, kHere, "/a/r", "", kThere, "/b/r", "", true},
        Sharing{"OneHeader", "\"header:X-Tenant\"", false, kHere, "/a/r", "X-Tenant: t\r\n", kThere, "/b/r",
                "x-tenant: t\r\n", true},
        Sharing{"TwoHeaders", "\"header:X-Tenant\"", false, kHere, "/a/r", "X-Tenant: t\r\n", kHere, "/a/r",
                "X-Tenant: u\r\n", false},
        Sharing{"ListSame", "[consumer, api]", true, kHere, "/a/r", kAnna, kThere, "/a/s", kAnnasOther, true},
        Sharing{"ListOtherApi", "[consumer, api]", true, kHere, "/a/r", kAnna, kHere, "/b/r", kAnna, false},
        Sharing{"ListOtherConsumer", "[consumer, api]", true, kHere, "/a/r", kAnna, kHere, "/a/r", kBen,
                false},
        // Parts are joined so that no two lists are one text.
        Sharing{"ListsOfOneText", "[\"header:A\", \"header:B\"]", false, kHere, "/a/r", "A: x1:y\r\nB: z\r\n",
                kHere, "/a/r", "A: x\r\nB: y1:z\r\n", false}),
    [](const auto& each) { return std::string(each.param.name); });

// No consumer can be named so that it takes an address's place.
TEST_F(RateLimitTest, AConsumersNameIsNoAddress) {
  start(
      "apis: { a: { upstream: any, policies: [ { api_key: { dry_run: true } }, { rate_limit: { rate: 1/1h } "
      "} ] } }\n"
      "consumers: { \"127.0.0.1\": { credentials: [ { api_key: k } ] } }\n");
  EXPECT_EQ(passing(2, "/", "X-API-Key: k\r\n"), 1);
  EXPECT_EQ(passing(2), 1) << "the address has its own";
}

// Contract, section 2 "Chains": state is named by level, id and key, the same across reloads.
TEST_F(RateLimitTest, AReloadKeepsTheState) {
  start(chain("{ rate_limit: { rate: 5/1h } }"));
  EXPECT_EQ(passing(3), 3);
  reload(chain(
      "{ request_id: {} }, { rate_limit: { rate: 5/1h } }, { headers: { response: { set: { x-a: b } } } }"));
  EXPECT_EQ(passing(5), 2);
  reload(chain(""));
  EXPECT_EQ(passing(3), 3);
  reload(chain("{ rate_limit: { rate: 5/1h } }"));
  EXPECT_EQ(passing(1), 0) << "it was gone for a while only";
  reload(chain("{ rate_limit: { rate: 6/1h } }"));
  EXPECT_EQ(passing(7), 6) << "another rate is another limit";
}

TEST_F(RateLimitTest, LimitsOfTwoLevelsAreTwo) {
  start(
      "policies: [ { rate_limit: { id: l, rate: 3/1h, key: gateway } } ]\n"
      "apis: { a: { path: /a, upstream: any }, b: { path: /b, upstream: any, policies: [ { rate_limit: { id: "
      "l, rate: 3/1h, key: gateway } } ] } }\n");
  EXPECT_EQ(passing(4, "/a"), 3);
  EXPECT_EQ(passing(4, "/b"), 3) << "the API's own took the gateway's place";
}

TEST_F(RateLimitTest, ADryRunCountsAndLetsPass) {
  start(chain("{ rate_limit: { rate: 1/1h, dry_run: true } }"));
  EXPECT_EQ(passing(3), 3);
  EXPECT_EQ(get("/").field("RateLimit"), "");
  EXPECT_EQ(metric("sluice_refused_total{code=\"dry_run\"}"), "3");
  EXPECT_NE(access_log().find("\"dry_run\":\"rate_limited\""), std::string::npos);
}

// Contract, section 2 "Who is calling": `sluice check` warns when nothing before it can set a consumer.
TEST_F(RateLimitTest, WarnsWhenNobodyCanBeKnown) {
  EXPECT_TRUE(compile(chain("{ rate_limit: { rate: 1/1s } }, { api_key: {} }")));
  EXPECT_NE(problems.find("no-identity"), std::string::npos);
  EXPECT_TRUE(compile(chain("{ api_key: {} }, { rate_limit: { rate: 1/1s } }")));
  EXPECT_EQ(problems, "");
  EXPECT_TRUE(compile(chain("{ rate_limit: { rate: 1/1s, key: address } }")));
  EXPECT_EQ(problems, "");
}

TEST_F(RateLimitTest, RefusesWhatIsNoLimit) {
  for (std::string_view config :
       {"{}", "{ rate: 0/1s }", "{ rate: 10 }", "{ rate: 1/0s }", "{ rate: 1/1s, burst: 0 }",
        "{ rate: 1/1s, key: nobody }", "{ rate: 1/1s, key: [] }", "{ rate: 1/1s, key: \"header:\" }",
        "{ rate: 1/1s, key: \"header:a b\" }", "{ rate: 1/1s, cost: 0 }"})
    EXPECT_FALSE(compile(chain("{ rate_limit: " + std::string(config) + " }"))) << config;
}

// Contract, section 2 "Rates": "`sliding_window` never lets more than 100 through".
TEST_F(RateLimitTest, ASlidingWindowNeverLetsMoreThrough) {
  start(chain("{ rate_limit: { rate: 10/9s, algorithm: sliding_window } }"));
  EXPECT_EQ(passing(12), 10);
  int passed = 0;
  for (int i = 0; i < 9; ++i) {
    world.run_for(1s);
    passed += passing(1);
  }
  EXPECT_EQ(passed, 0);
  world.run_for(1s);
  EXPECT_EQ(passing(12), 10);
  EXPECT_EQ(get("/").field("RateLimit-Policy"), "\"rate_limit\";q=10;w=9");
}

TEST_F(RateLimitTest, SeveralLimitsHoldTogether) {
  start(
      chain("{ rate_limit: { id: both, limits: [ { rate: 4/1s }, { rate: 6/1h, algorithm: sliding_window }, "
            "{ quota: 8/day } ] } }"));
  EXPECT_EQ(passing(5), 4);
  Answer answer = get("/");
  EXPECT_EQ(answer.code(), "rate_limited");
  EXPECT_EQ(answer.field("RateLimit-Policy"),
            "\"both-1\";q=4;w=1, \"both-2\";q=6;w=3600, \"both-3\";q=8;w=86400");
  EXPECT_EQ(answer.field("RateLimit").find("\"both-1\";r=0;t=1, \"both-2\";r=2;t="), 0u)
      << answer.field("RateLimit");
  world.run_for(1s);
  EXPECT_EQ(passing(5), 2) << "what the first refused cost nothing at the second";
  world.run_for(2h);
  EXPECT_EQ(passing(5), 2) << "eight on this day";
  EXPECT_EQ(get("/").code(), "quota_exceeded");
}

TEST_F(RateLimitTest, AQuotaIsOfTheCalendar) {
  // The simulated wall begins on the hour or somewhere in it: what counts is its turn.
  start(chain("{ rate_limit: { quota: 5/hour, timezone: Asia/Kolkata } }"));
  EXPECT_EQ(passing(8), 5);
  Answer answer = get("/");
  EXPECT_EQ(answer.status, 429);
  EXPECT_EQ(answer.code(), "quota_exceeded");
  EXPECT_EQ(answer.field("RateLimit-Policy"), "\"rate_limit\";q=5;w=3600");
  auto left = std::chrono::seconds(std::stoi(answer.field("Retry-After")));
  EXPECT_EQ(answer.field("RateLimit"), "\"rate_limit\";r=0;t=" + std::to_string(left.count()));
  world.run_for(left - 1s);
  EXPECT_EQ(passing(2), 0);
  world.run_for(2s);
  EXPECT_EQ(passing(8), 5);
}

TEST_F(RateLimitTest, AQuotaSurvivesAReloadAndALargerOneKeepsWhatWasUsed) {
  start(chain("{ rate_limit: { quota: 3/month } }"));
  EXPECT_EQ(passing(5), 3);
  reload(chain("{ rate_limit: { quota: 5/month } }"));
  EXPECT_EQ(passing(5), 2);
}

TEST_F(RateLimitTest, ACostMayComeFromTheRequest) {
  start(chain("{ rate_limit: { rate: 10/1h, cost: 'header:X-Cost' } }"));
  EXPECT_EQ(get("/", "X-Cost: 4\r\n").field("RateLimit").find("\"rate_limit\";r=6"), 0u);
  EXPECT_EQ(get("/", "X-Cost: many\r\n").field("RateLimit").find("\"rate_limit\";r=5"), 0u);
  EXPECT_EQ(get("/", "X-Cost: 0\r\n").field("RateLimit").find("\"rate_limit\";r=4"), 0u);
  EXPECT_EQ(get("/", "X-Cost: 5\r\n").status, 429);
  EXPECT_EQ(get("/", "X-Cost: 4\r\n").status, 200);
}

TEST_F(RateLimitTest, ACostMayComeFromTheAnswer) {
  for (std::string_view limit :
       {"rate: 10/1h", "rate: 10/1h, algorithm: sliding_window", "quota: 10/month"}) {
    std::string policies =
        "{ rate_limit: { id: l" + std::to_string(limit.size()) + ", " + std::string(limit) +
        ", cost: 'response:X-Cost' } }, { headers: { response: { set: { x-cost: '4' } } } }";
    if (workers.empty())
      start(chain(policies));
    else
      reload(chain(policies));
    EXPECT_EQ(passing(3), 3) << limit << ": the third finds two left";
    Answer answer = get("/");
    EXPECT_EQ(answer.status, 429) << limit;
    EXPECT_NE(answer.field("RateLimit").find(";r=0;"), std::string::npos) << answer.field("RateLimit");
  }
}

TEST_F(RateLimitTest, SomeAreNotLimited) {
  start(
      chain("{ api_key: {} }, { rate_limit: { rate: 1/1h, key: gateway, exempt: { addresses: [192.0.2.0/24], "
            "groups: [g] } } }"));
  EXPECT_EQ(passing(3, "/", kAnna), 3) << "of group g";
  EXPECT_EQ(passing(3, "/", kBen), 1);
  from("192.0.2.7");
  EXPECT_EQ(passing(3, "/", kBen), 3);
  EXPECT_EQ(get("/", kBen).field("RateLimit"), "");
  from("192.0.3.7");
  reload(
      chain("{ api_key: {} }, { rate_limit: { rate: 1/1h, key: gateway, exempt: { consumers: [ben] } } }"));
  EXPECT_EQ(passing(3, "/", kBen), 3);
  EXPECT_EQ(passing(3, "/", kAnna), 0);
}

// RFC 6177: a site has a network of its own, so its addresses are one caller.
TEST_F(RateLimitTest, IPv6CallersAreToldApartByTheirNetwork) {
  start(chain("{ rate_limit: { rate: 1/1h, key: address } }"));
  from("10.0.0.1");
  for (auto [address, passes] :
       {std::pair{"2001:db8:0:1::1", 1}, {"2001:db8:0:1::2", 0}, {"2001:db8:0:2::1", 1}}) {
    EXPECT_EQ(passing(1, "/", "X-Forwarded-For: " + std::string(address) + "\r\n"), passes) << address;
  }
  reload(chain("{ rate_limit: { id: whole, rate: 1/1h, key: address, ipv6_prefix: 128 } }"));
  EXPECT_EQ(passing(1, "/", "X-Forwarded-For: 2001:db8:0:1::1\r\n"), 1);
  EXPECT_EQ(passing(1, "/", "X-Forwarded-For: 2001:db8:0:1::2\r\n"), 1);
}

TEST_F(RateLimitTest, OlderFieldsOnRequest) {
  start(chain("{ rate_limit: { rate: 5/1m, legacy_fields: true } }"));
  Answer answer = get("/");
  EXPECT_EQ(answer.field("X-RateLimit-Limit"), "5");
  EXPECT_EQ(answer.field("X-RateLimit-Remaining"), "4");
  EXPECT_EQ(answer.field("X-RateLimit-Reset"), "12");
}

TEST_F(RateLimitTest, SaysWhatIsWrong) {
  struct Case {
    std::string_view policy, problem;
  };
  for (const Case& each : {
           Case{"{}", "it needs a `rate`, a `quota` or `limits`"},
           Case{"{ rate: 1/1s, quota: 1/day }", "one limit is a `rate` or a `quota`; write two"},
           Case{"{ rate: 1/1s, limits: [ { rate: 1/1s } ] }", "either one limit here, or `limits`"},
           Case{"{ burst: 5, limits: [ { rate: 1/1s } ] }", "either one limit here, or `limits`"},
           Case{"{ quota: 1/fortnight }", "a quota is by `hour`, `day`, `week` or `month`"},
           Case{"{ quota: 0/day }", "a quota of nothing refuses everything"},
           Case{"{ quota: 1/day, burst: 3 }", "a quota has no `burst`"},
           Case{"{ quota: 1/day, timezone: Europe/Berlim }", "it is no name of the system's time zones"},
           Case{"{ rate: 1/1s, timezone: UTC }", "a `timezone` is for a `quota`"},
           Case{"{ limits: [ { quota: 1/day }, { quota: 9/day } ] }", "two quotas of the same period"},
           Case{"{ rate: 1/1s, cost: 'response:a b' }", "that is no name of a field"},
           Case{"{ rate: 20000000/1s, algorithm: sliding_window }", "counts up to 16777215"},
       }) {
    EXPECT_FALSE(compile(chain("{ rate_limit: " + std::string(each.policy) + " }"))) << each.policy;
    EXPECT_NE(problems.find(each.problem), std::string::npos) << each.policy << problems;
  }
}

}  // namespace
}  // namespace sluice::policies::testing
