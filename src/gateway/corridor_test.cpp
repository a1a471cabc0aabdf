// The walk of a request: routing's verdicts, the order of the chain's phases, and what a fault leads to.
#include "gateway/gateway_fixture.h"
#include "gateway/policy_fixture.h"

namespace sluice::gateway::testing {
namespace {

const MarkPolicies kPolicies;
const EchoHandlers kHandlers;

class Corridor : public GatewayTest {
 protected:
  Corridor() : GatewayTest(kPolicies, kHandlers) { mark_trace.clear(); }

  /// One API below /a with this chain and a route below /a/read, which takes GET.
  void start_chain(std::string_view chain) {
    start("apis: { a: { path: /a, upstream: any, policies: [" + std::string(chain) +
          "], routes: [ { name: read, methods: [GET], path: /read }, { name: write, methods: [PUT, DELETE], "
          "path: /read }, "
          "{ name: post, methods: [POST], path: /post } ] } }\n");
  }
};

TEST_F(Corridor, AnswersUnknownPathsWith404) {
  start_chain("");
  Answer elsewhere = get("/b");
  EXPECT_EQ(elsewhere.status, 404);
  EXPECT_EQ(elsewhere.code(), "no_route");
  EXPECT_EQ(elsewhere.field("Content-Type"), "application/problem+json") << "RFC 9457";
  EXPECT_EQ(get("/a/unknown").status, 404) << "an API owns its path (contract, Matching)";
  EXPECT_EQ(metric("sluice_refused_total{code=\"no_route\"}"), "2");
}

// RFC 9110, section 15.5.6: a 405 says in Allow what the resource takes.
TEST_F(Corridor, AnswersOtherMethodsWith405AndAllow) {
  start_chain("");
  Answer answer = ask(request("POST", "/a/read"));
  EXPECT_EQ(answer.status, 405);
  EXPECT_EQ(answer.code(), "method_not_allowed");
  EXPECT_EQ(answer.field("Allow"), "DELETE, GET, HEAD, PUT");
}

// Contract, section 2 "Matching": a GET route takes HEAD.
TEST_F(Corridor, GetRouteTakesHead) {
  start_chain("");
  Answer answer = ask(request("HEAD", "/a/read"));
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(answer.body.empty());
}

// Contract, section 3: TRACE and CONNECT are 405 wherever they point.
TEST_F(Corridor, RefusesTraceAndConnectEverywhere) {
  start("apis: { a: { upstream: any } }\n");
  for (std::string_view text :
       {"TRACE / HTTP/1.1\r\nHost: a.test\r\n\r\n", "TRACE /unknown HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n"}) {
    Answer answer = ask(std::string(text));
    EXPECT_EQ(answer.status, 405) << text;
    EXPECT_EQ(answer.field("Allow"), "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS") << text;
  }
}

// RFC 9110, section 9.3.7: about the server in general, so no API's.
TEST_F(Corridor, AnswersOptionsAsteriskItself) {
  start("apis: { a: { upstream: any } }\n");
  Answer answer = ask(request("OPTIONS", "*"));
  EXPECT_EQ(answer.status, 204);
  EXPECT_EQ(answer.field("Allow"), "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
  EXPECT_EQ(ask(request("OPTIONS", "/")).status, 200) << "any other target is a route's";
}

// Contract, section 3 "Forwarding": the own name a fourth time is 508.
TEST_F(Corridor, OwnNameAFourthTimeInViaIsALoop) {
  start("apis: { a: { upstream: any } }\n");
  struct Case {
    std::string_view via;
    int status;
  };
  for (const Case& each : {
           Case{"Via: 1.1 sluice, 1.1 sluice\r\n", 200},
           Case{"Via: 1.1 sluice, 1.1 sluice, 1.1 sluice\r\n", 508},
           Case{"Via: 1.1 sluice, 1.0 other\r\nVia: 2.0 Sluice (edge)\r\nVia: HTTP/1.1 sluice\r\n", 508},
           Case{"Via: 1.1 sluices, 1.1 not-sluice, 1.1 other (sluice), 1.1 sluice.test\r\n", 200},
           Case{"Via: 1.1 a, 1.1 b, 1.1 c, 1.1 d\r\n", 200},
       }) {
    Answer answer = get("/", each.via);
    EXPECT_EQ(answer.status, each.status) << each.via;
    if (each.status == 508) EXPECT_EQ(answer.code(), "loop_detected");
  }
}

TEST_F(Corridor, RunsTheResponsePhaseBackwards) {
  start_chain("{ mark: { id: a, note: a } }, { mark: { id: b, note: b } }, { mark: { id: c, note: c } }");
  Answer answer = get("/a/read");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.field("X-Mark"), "c | b | a");
  EXPECT_EQ(mark_trace, "a>b>c>c<b<a<c.b.a.");
}

// Contract, section 2 "Chains": gateway, API, route, each in the order written.
TEST_F(Corridor, WalksGatewayThenApiThenRoute) {
  start(
      "policies: [ { mark: { id: g, note: g } } ]\n"
      "apis: { a: { upstream: any, policies: [ { mark: { id: a, note: a } } ],\n"
      "  routes: [ { name: r, policies: [ { mark: { id: r, note: r } }, { mark: { id: g, note: G } } ] } ] } "
      "}\n");
  get("/");
  EXPECT_EQ(mark_trace, "G>a>r>r<a<G<r.a.G.") << "a deeper level takes the outer one's place";
}

// Contract, section 2 "Chains": an answer that the gateway makes passes the response phase of the policies
// before it; those behind never began.
TEST_F(Corridor, AnAnswerPassesExactlyThePoliciesThatBegan) {
  start_chain(
      "{ mark: { id: a, note: a } }, { mark: { id: b, note: b, does: answer } }, { mark: { id: c, note: c } "
      "}");
  Answer answer = get("/a/read");
  EXPECT_EQ(answer.status, 403);
  EXPECT_EQ(answer.code(), "marked");
  EXPECT_EQ(answer.field("X-Mark"), "b | a");
  EXPECT_EQ(mark_trace, "a>b>b<a<b.a.");
}

TEST_F(Corridor, VerdictsPassTheChainToo) {
  start(
      "policies: [ { mark: { note: g } } ]\n"
      "apis: { a: { path: /a, upstream: any, policies: [ { mark: { id: a, note: a } } ],\n"
      "  routes: [ { name: r, path: /r, methods: [GET] } ] } }\n");
  EXPECT_EQ(get("/b").status, 404);
  EXPECT_EQ(mark_trace, "g>g<g.") << "no API: the gateway's chain";
  mark_trace.clear();
  EXPECT_EQ(get("/a/b").status, 404);
  EXPECT_EQ(mark_trace, "g>a>a<g<a.g.") << "no route: the API's chain";
  mark_trace.clear();
  EXPECT_EQ(ask(request("POST", "/a/r")).status, 405);
  EXPECT_EQ(mark_trace, "g>a>a<g<a.g.");
}

TEST_F(Corridor, APolicyMayWait) {
  start_chain("{ mark: { id: a, note: a, does: wait } }, { mark: { id: b, note: b } }");
  Instant began = world.now();
  EXPECT_EQ(get("/a/read").status, 200);
  EXPECT_EQ(world.now() - began, 10ms);
  EXPECT_EQ(mark_trace, "a>a)b>b<a<b.a.");
}

TEST_F(Corridor, APolicyMayAnswerAfterItWaited) {
  start_chain("{ mark: { id: a, note: a, does: wait_answer } }, { mark: { id: b, note: b } }");
  EXPECT_EQ(get("/a/read").code(), "marked");
  EXPECT_EQ(mark_trace, "a>a)a<a.");
}

// Contract, section 3 "Statuses": 500 a policy's own fault. What it said stays inside.
TEST_F(Corridor, AThrowingPolicyIs500AndEveryEndRuns) {
  struct Case {
    std::string_view does;
    std::string_view trace;
  };
  for (const Case& each : {Case{"throw", "a>b>b<a<b.a."}, Case{"wait_throw", "a>b>b)b<a<b.a."},
                           Case{"throw_on_response", "a>b>c>c<b<a<c.b.a."}}) {
    std::string document =
        "apis: { a: { upstream: any, policies: [ { mark: { id: a, note: a } }, "
        "{ mark: { id: b, note: b, does: " +
        std::string(each.does) + " } }, { mark: { id: c, note: c } } ] } }\n";
    if (workers.empty())
      start(document);
    else
      reload(document);
    mark_trace.clear();
    Answer answer = get("/");
    EXPECT_EQ(answer.status, 500) << each.does;
    EXPECT_EQ(answer.code(), "internal_error") << each.does;
    EXPECT_EQ(answer.head.find("phase"), std::string::npos);
    EXPECT_EQ(answer.body.find("phase"), std::string::npos);
    EXPECT_EQ(answer.field("X-Mark").back(), 'a') << "the policies before it go on";
    EXPECT_EQ(mark_trace, each.trace) << each.does;
  }
  EXPECT_EQ(metric("sluice_refused_total{code=\"internal_error\"}"), "3");
}

TEST_F(Corridor, AThrowingHandlerIs500AndEveryEndRuns) {
  start_chain("{ mark: { id: a, note: a } }");
  Client client(world, client_loop, address);
  Answer answer = client.ask(request("GET", "/a/read?throw"));
  EXPECT_EQ(answer.status, 500);
  EXPECT_EQ(answer.code(), "internal_error");
  EXPECT_EQ(mark_trace, "a>a<a.");
  EXPECT_EQ(client.ask(request("GET", "/a/read")).status, 200) << "the connection goes on";
}

TEST_F(Corridor, EndRunsForAClientThatLeft) {
  start_chain("{ mark: { id: a, note: a } }");
  Client client(world, client_loop, address);
  client.send(request("GET", "/a/read?slow"));
  world.run_for(1s);
  EXPECT_EQ(mark_trace, "a>");
  client.raw().vanish();
  world.run_for(1s);
  EXPECT_EQ(mark_trace, "a>a<a.");
}

// Contract, section 2 "Chains": `dry_run` is counted and logged, never enforced.
TEST_F(Corridor, ADryRunIsCountedAndLoggedOnly) {
  start_chain("{ mark: { id: a, note: a, does: answer, dry_run: true } }, { mark: { id: b, note: b } }");
  Answer answer = get("/a/read");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.field("X-Mark"), "b") << "nor is its response phase";
  EXPECT_EQ(answer.field("Content-Type"), "") << "nothing of the refusal is left";
  EXPECT_EQ(metric("sluice_refused_total{code=\"dry_run\"}"), "1");
  EXPECT_EQ(metric("sluice_refused_total{code=\"marked\"}"), "");
  std::string line = access_log();
  EXPECT_NE(line.find("\"dry_run\":\"marked\""), std::string::npos) << line;
  EXPECT_EQ(line.find("error_code"), std::string::npos) << line;
}

TEST_F(Corridor, RefusesAnAnnouncedBodyBeyondTheLimit) {
  start(
      "apis: { a: { upstream: any, limits: { request_body: 10B }, routes: [ { name: large, path: /large, "
      "limits: { request_body: 20B } }, { name: any } ] } }\n");
  EXPECT_EQ(ask(request("POST", "/", "Content-Length: 10\r\n") + "0123456789").status, 200);
  Answer answer = ask(request("POST", "/", "Content-Length: 11\r\n") + "01234567890");
  EXPECT_EQ(answer.status, 413);
  EXPECT_EQ(answer.code(), "request_too_large");
  EXPECT_EQ(ask(request("POST", "/large", "Content-Length: 11\r\n") + "01234567890").status, 200)
      << "the inner level wins (contract, section 2)";
  EXPECT_EQ(
      ask(request("POST", "/", "Transfer-Encoding: chunked\r\n") + "b\r\n01234567890\r\n0\r\n\r\n").status,
      413);
  EXPECT_EQ(metric("sluice_limit_hits_total{limit=\"request_body\"}"), "2");
}

// A body that is too long to be read away costs the connection, and who goes on sending is not read for ever.
TEST_F(Corridor, ABodyThatNobodyWantsIsBounded) {
  start_chain("");
  Client client(world, client_loop, address);
  client.send(request("POST", "/nowhere", "Content-Length: 10000000\r\n") + "begin");
  Answer answer = client.await_answer();
  EXPECT_EQ(answer.status, 404);
  EXPECT_EQ(answer.field("Connection"), "close");
  EXPECT_EQ(metric("sluice_limit_hits_total{limit=\"request_rest\"}"), "1");
  for (int i = 0; i < 20; ++i) {
    client.send(std::string(100'000, 'x'));
    world.run_for(1ms);
  }
  EXPECT_EQ(metric("sluice_limit_hits_total{limit=\"lingering_close\"}"), "1");
}

TEST_F(Corridor, TotalTimeoutCancelsTheExchange) {
  start("apis: { a: { upstream: any, timeouts: { total: 2s } } }\n");
  Instant began = world.now();
  get("/?slow");
  EXPECT_EQ(world.now() - began, 2s);
}

TEST_F(Corridor, SlashesAreRefusedPerApi) {
  start(
      "apis: { strict: { path: /s, upstream: any, repeated_slash: reject, encoded_slash: reject },\n"
      "  keeps: { path: /k, upstream: any, repeated_slash: keep }, any: { upstream: any } }\n");
  EXPECT_EQ(get("/s/a//b").code(), "repeated_slash");
  EXPECT_EQ(get("/s/a%2Fb").code(), "encoded_slash");
  EXPECT_EQ(get("/s/a/b").status, 200);
  EXPECT_TRUE(get("/k/a//b").body.starts_with("GET /k/a//b\n"));
  EXPECT_TRUE(get("/any/a//b").body.starts_with("GET /any/a/b\n")) << "merged (contract, Paths)";
  EXPECT_TRUE(get("/any/a%2fb").body.starts_with("GET /any/a%2Fb\n")) << "kept and upper-cased";
}

TEST_F(Corridor, StripsThePrefixAndSaysSo) {
  start("apis: { a: { path: /a/b, strip_path: true, upstream: any } }\n");
  Answer answer = get("/a/b/c?q=1");
  EXPECT_TRUE(answer.body.starts_with("GET /c?q=1\n")) << answer.body;
  EXPECT_TRUE(answer.has_line("X-Forwarded-Prefix: /a/b")) << answer.body;
  EXPECT_TRUE(get("/a/b").body.starts_with("GET /\n"));
}

// Contract, section 3 "Forwarding": what an untrusted peer says about the way it took is not passed on, nor
// what only we may say, nor names that become one of ours when `_` is read as `-`.
TEST_F(Corridor, RemovesWhatAClientMayNotSay) {
  start("apis: { a: { upstream: any } }\n");
  constexpr std::string_view kFields =
      "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\nForwarded: for=1.2.3.4\r\nX-Consumer-Id: "
      "root\r\n"
      "X_Consumer_Id: root\r\nX-Original-URL: /admin\r\nX-Rewrite-URL: /admin\r\nX_Forwarded_For: 1.2.3.4\r\n"
      "Own_Name: stays\r\n";
  Answer answer = get("/", kFields);
  EXPECT_EQ(answer.body, "GET /\nOwn_Name: stays\n");
  client_loop.set_source(*io::Address::parse_ip("10.1.2.3"));
  answer = get("/", kFields);
  EXPECT_TRUE(answer.has_line("X-Forwarded-For: 1.2.3.4")) << "a trusted proxy may";
  EXPECT_FALSE(answer.has_line("X-Consumer-Id: root")) << "but not name the consumer";
  EXPECT_FALSE(answer.has_line("X_Forwarded_For: 1.2.3.4"));
}

TEST_F(Corridor, LogsWhatCannotBeReadToo) {
  start("apis: { a: { upstream: any } }\n");
  Answer answer = ask("GET / HTTP/1.1\r\n\r\n");
  EXPECT_EQ(answer.status, 400) << "no Host (RFC 9112, section 3.2)";
  EXPECT_EQ(answer.code(), "no_host");
  std::string line = access_log();
  EXPECT_NE(line.find("\"status\":400"), std::string::npos) << line;
  EXPECT_NE(line.find("\"error_code\":\"no_host\""), std::string::npos) << line;
  EXPECT_NE(line.find("\"error_by\":\"client\""), std::string::npos) << line;
  EXPECT_EQ(metric("sluice_refused_total{code=\"no_host\"}"), "1");
}

TEST_F(Corridor, ABodyConditionReadsTheBeginningAndPassesAllOn) {
  start(
      "apis: { a: { upstream: any, routes: [ { name: bulk, methods: [POST], match: { body: { $.kind: bulk } "
      "},\n"
      "  respond: { body: \"bulk \" } }, { name: other, respond: { body: \"other \" } } ] } }\n");
  auto post = [&](std::string_view body) {
    return ask(request("POST", "/", "Content-Length: " + std::to_string(body.size()) + "\r\n") +
               std::string(body))
        .body;
  };
  std::string bulk = post("{\"kind\":\"bulk\",\"n\":1}");
  EXPECT_TRUE(bulk.starts_with("bulk POST /\n")) << bulk;
  EXPECT_TRUE(bulk.ends_with("{\"kind\":\"bulk\",\"n\":1}")) << bulk;
  EXPECT_TRUE(post("{\"kind\":\"one\"}").starts_with("other POST /\n"));
  EXPECT_TRUE(post("no JSON").starts_with("other POST /\n"));
  std::string large = "{\"kind\":\"bulk\",\"text\":\"" + std::string(200'000, 'x') + "\"}";
  EXPECT_TRUE(post(large).ends_with(large)) << "what is beyond the prefix passes too";
}

// RFC 9110, section 10.1.1: whoever wants the body's beginning says 100 first.
TEST_F(Corridor, ABodyConditionAsksForTheBody) {
  start(
      "apis: { a: { upstream: any, routes: [ { name: bulk, match: { body: { $.kind: bulk } } }, { name: "
      "other } ] } }\n");
  Client client(world, client_loop, address);
  client.send(request("POST", "/", "Content-Length: 2\r\nExpect: 100-continue\r\n"));
  world.run_until([&] { return !client.rest().empty(); });
  EXPECT_TRUE(client.rest().starts_with("HTTP/1.1 100 ")) << client.rest();
  Answer answer = client.ask("{}");
  EXPECT_EQ(answer.status, 200);
  EXPECT_FALSE(answer.has_line("Expect: 100-continue")) << "it is said already";
}

// Contract, section 2 "Matching": the prefix is read under the header timeout.
TEST_F(Corridor, ABodyConditionWaitsForTheHeaderTimeoutOnly) {
  start(
      "apis: { a: { upstream: any, routes: [ { name: bulk, match: { body: { $.kind: bulk } } }, { name: "
      "other } ] } }\n");
  Client client(world, client_loop, address);
  Instant began = world.now();
  Answer answer = client.ask(request("POST", "/", "Content-Length: 100\r\n"));
  EXPECT_EQ(answer.status, 408);
  EXPECT_EQ(world.now() - began, 10s);
}

}  // namespace
}  // namespace sluice::gateway::testing
