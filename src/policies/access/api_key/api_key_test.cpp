#include "policies/policy_test_fixture.h"

namespace sluice::policies::testing {
namespace {

class ApiKeyTest : public PolicyTest {};

TEST_F(ApiKeyTest, SaysWhoIsCalling) {
  start(chain("{ api_key: {} }"));
  EXPECT_TRUE(get("/", "X-API-Key: anna-key-0123456789\r\n").has_line("caller=anna"));
  EXPECT_TRUE(get("/", "x-api-key: ben-key\r\n").has_line("caller=ben")) << "RFC 9110, section 5.1";
  EXPECT_TRUE(get("/", "X-API-Key: anna-other-key\r\n").has_line("caller=anna")) << "a second key";
}

// RFC 9110, section 15.5.2: a 401 has a challenge.
TEST_F(ApiKeyTest, RefusesEveryOtherKey) {
  start(chain("{ api_key: {} }"));
  struct Case {
    std::string_view fields;
    std::string_view code;
  };
  for (const Case& each : {
           Case{"", "missing_credential"},
           Case{"X-API-Key:\r\n", "missing_credential"},
           Case{"X-Other: anna-key-0123456789\r\n", "missing_credential"},
           Case{"Cookie: X-API-Key=ben-key\r\n", "missing_credential"},
           Case{"X-API-Key: wrong\r\n", "invalid_credential"},
           Case{"X-API-Key: BEN-KEY\r\n", "invalid_credential"},
           Case{"X-API-Key: ben-key, anna-other-key\r\n", "invalid_credential"},
           Case{"X-API-Key: ben-key\r\nX-API-Key: ben-key\r\n", "repeated_credential"},
           Case{"X-API-Key: ben-key\r\nX-Api-KEY: wrong\r\n", "repeated_credential"},
       }) {
    Answer answer = get("/", each.fields);
    EXPECT_EQ(answer.status, 401) << each.fields;
    EXPECT_EQ(answer.code(), each.code) << each.fields;
    EXPECT_EQ(answer.field("WWW-Authenticate"), "ApiKey") << each.fields;
  }
  EXPECT_EQ(metric("sluice_refused_total{code=\"missing_credential\"}"), "4");
  EXPECT_EQ(metric("sluice_refused_total{code=\"invalid_credential\"}"), "3");
}

TEST_F(ApiKeyTest, RefusesSeveralKeysWhereverTheyStand) {
  // Which of two credentials counts is what two servers would answer differently: none does.
  start(chain("{ api_key: { in: query, name: key } }"));
  for (const char* target :
       {"/?key=ben-key&key=wrong", "/?key=ben-key&a=b&key=ben-key", "/?key=wrong&key=ben-key"})
    EXPECT_EQ(get(target).code(), "repeated_credential") << target;
  EXPECT_EQ(get("/?key=ben-key&keys=wrong").status, 200);
  reload(chain("{ api_key: { in: cookie, name: key } }"));
  for (const char* fields :
       {"Cookie: key=ben-key; key=wrong\r\n", "Cookie: key=\"ben-key\"; a=b; key=ben-key\r\n",
        "Cookie: key=ben-key\r\nCookie: key=wrong\r\n"})
    EXPECT_EQ(get("/", fields).code(), "repeated_credential") << fields;
  EXPECT_EQ(get("/", "Cookie: a=b; key=ben-key; keys=wrong\r\n").status, 200);
}

TEST_F(ApiKeyTest, HidesTheKeyFromTheUpstreamUnlessToldOtherwise) {
  struct Case {
    std::string_view config;
    std::string target;
    std::string fields;
    std::string hidden;  // what the handler sees
    std::string shown;
  };
  const Case cases[] = {
      {"name: X-API-Key", "/", "A: 1\r\nX-API-Key: ben-key\r\n", "GET /\nA: 1\n",
       "GET /\nA: 1\nX-API-Key: ben-key\n"},
      {"name: Authorization", "/", "Authorization: ben-key\r\n", "GET /\n",
       "GET /\nAuthorization: ben-key\n"},
      {"in: query, name: key", "/p?a=1&key=ben-key&b=2", "", "GET /p?a=1&b=2\n",
       "GET /p?a=1&key=ben-key&b=2\n"},
      {"in: query, name: key", "/?key=ben-key", "", "GET /\n", "GET /?key=ben-key\n"},
      {"in: query, name: key", "/?key=ben%2Dkey", "", "GET /\n", "GET /?key=ben%2Dkey\n"},
      {"in: cookie, name: key", "/", "Cookie: a=1; key=ben-key; b=2\r\n", "GET /\nCookie: a=1; b=2\n",
       "GET /\nCookie: a=1; key=ben-key; b=2\n"},
      {"in: cookie, name: key", "/", "Cookie: key=ben-key\r\n", "GET /\n", "GET /\nCookie: key=ben-key\n"},
  };
  start(chain(""));
  for (const Case& each : cases) {
    for (bool hide : {true, false}) {
      reload(chain("{ api_key: { " + std::string(each.config) + (hide ? "" : ", hide: false") + " } }"));
      EXPECT_EQ(get(each.target, each.fields).body, (hide ? each.hidden : each.shown) + "caller=ben\n")
          << each.config << each.target;
    }
  }
}

TEST_F(ApiKeyTest, LooksAtItsOwnPlaceOnly) {
  start(chain("{ api_key: { in: query, name: key } }"));
  EXPECT_EQ(get("/?other=ben-key").code(), "missing_credential");
  EXPECT_EQ(get("/?key=").code(), "missing_credential");
  EXPECT_EQ(get("/?KEY=ben-key").code(), "missing_credential") << "parameters are case-sensitive";
  EXPECT_EQ(get("/", "key: ben-key\r\n").code(), "missing_credential");
  EXPECT_EQ(get("/?key=wrong").code(), "invalid_credential");
  reload(chain("{ api_key: { in: cookie, name: key } }"));
  EXPECT_EQ(get("/?key=ben-key").code(), "missing_credential");
  EXPECT_EQ(get("/", "Cookie: xkey=ben-key\r\n").code(), "missing_credential");
  EXPECT_EQ(get("/", "Cookie: key=wrong\r\n").code(), "invalid_credential");
}

// What comes later in the chain may still look at a hidden field.
TEST_F(ApiKeyTest, ALaterPolicySeesTheKey) {
  start(chain("{ api_key: {} }, { api_key: { id: again } }"));
  EXPECT_EQ(get("/", "X-API-Key: ben-key\r\n").body, "GET /\ncaller=ben\n");
}

TEST_F(ApiKeyTest, LogsConsumerAndPublicPrefix) {
  start(chain("{ api_key: { in: query, name: key } }"));
  get("/?key=anna-key-0123456789");
  std::string line = access_log();
  EXPECT_NE(line.find("\"consumer\":\"anna\""), std::string::npos) << line;
  EXPECT_NE(line.find("\"credential\":\"anna\""), std::string::npos) << line;
  EXPECT_EQ(line.find("anna-key"), std::string::npos) << line;
}

TEST_F(ApiKeyTest, ADryRunLetsEverythingPass) {
  start(chain("{ api_key: { dry_run: true } }"));
  Answer answer = get("/", "X-API-Key: wrong\r\n");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.field("WWW-Authenticate"), "");
  EXPECT_EQ(metric("sluice_refused_total{code=\"dry_run\"}"), "1");
  EXPECT_NE(access_log().find("\"dry_run\":\"invalid_credential\""), std::string::npos);
  EXPECT_TRUE(get("/", "X-API-Key: ben-key\r\n").has_line("caller=ben"));
}

TEST_F(ApiKeyTest, CredentialsChangeWithAReload) {
  start(chain("{ api_key: {} }"));
  Client client(world, client_loop, address);
  EXPECT_EQ(client.ask(request("GET", "/", "X-API-Key: ben-key\r\n")).status, 200);
  reload(
      "apis: { a: { upstream: any, policies: [ { api_key: {} } ] } }\n"
      "consumers: { carl: { credentials: [ { api_key: carl-key } ] } }\n");
  EXPECT_EQ(client.ask(request("GET", "/", "X-API-Key: ben-key\r\n")).status, 401);
  EXPECT_TRUE(client.ask(request("GET", "/", "X-API-Key: carl-key\r\n")).has_line("caller=carl"));
}

TEST_F(ApiKeyTest, RefusesNamesThatCannotStandThere) {
  for (std::string_view config :
       {"name: \"a b\"", "name: \"\"", "in: cookie, name: \"a;b\"", "in: query, name: \"\"", "in: body"}) {
    EXPECT_FALSE(compile(chain("{ api_key: { " + std::string(config) + " } }"))) << config;
    EXPECT_FALSE(problems.empty());
  }
  EXPECT_TRUE(compile(chain("{ api_key: { in: query, name: \"a b\" } }"))) << "a query name may be any text";
}

}  // namespace
}  // namespace sluice::policies::testing
