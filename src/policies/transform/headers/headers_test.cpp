#include "policies/policy_test_fixture.h"

namespace sluice::policies::testing {
namespace {

class HeadersTest : public PolicyTest {};

TEST_F(HeadersTest, ChangesTheRequest) {
  struct Case {
    std::string_view config;
    std::string_view fields;
    std::string_view seen;
  };
  const Case cases[] = {
      {"set: { X-A: new }", "", "X-A: new\n"},
      {"set: { X-A: new }", "X-A: one\r\nB: b\r\nx-a: two\r\n", "X-A: new\nB: b\n"},
      {"set: { User-Agent: new }", "user-agent: old\r\n", "User-Agent: new\n"},
      {"add: { X-A: new }", "X-A: one\r\nB: b\r\n", "X-A: one\nB: b\nX-A: new\n"},
      {"remove: [x-a, USER-AGENT]", "X-A: one\r\nB: b\r\nX-a: two\r\nUser-Agent: c\r\n", "B: b\n"},
      {"remove: [X-A]", "X-AB: one\r\n", "X-AB: one\n"},
      // Removes, then sets, then adds.
      {"{ add: { X-A: added }, set: { X-A: set }, remove: [X-A] }", "X-A: one\r\n", "X-A: set\nX-A: added\n"},
      {"add: { X-A: \"\" }", "", "X-A: \n"},
  };
  start(chain(""));
  for (const Case& each : cases) {
    std::string config(each.config);
    if (!config.starts_with('{')) config = "{ " + config + " }";
    reload(chain("{ headers: { request: " + config + " } }"));
    EXPECT_EQ(get("/", each.fields).body, "GET /\n" + std::string(each.seen)) << each.config;
  }
}

TEST_F(HeadersTest, ChangesTheAnswer) {
  start(
      chain("{ headers: { response: { set: { X-A: set, Content-Type: text/plain }, add: { Set-Cookie: a=b }, "
            "remove: [X-B] } } },"
            "{ headers: { id: inner, response: { add: { X-A: inner, X-B: inner, Set-Cookie: c=d } } } }"));
  Answer answer = get("/");
  EXPECT_EQ(answer.field("X-A"), "set") << "responses run the chain backwards";
  EXPECT_EQ(answer.field("X-B"), "");
  EXPECT_EQ(answer.field("Content-Type"), "text/plain");
  EXPECT_EQ(answer.field("Set-Cookie"), "c=d | a=b");
}

// Contract, section 2 "Chains": an answer that the gateway makes passes the response phase too.
TEST_F(HeadersTest, ChangesErrorsToo) {
  start(
      chain("{ headers: { response: { set: { X-A: a } } } }, { api_key: {} }, { headers: { id: after, "
            "response: { set: { X-B: b } } } }"));
  Answer answer = get("/");
  EXPECT_EQ(answer.status, 401);
  EXPECT_EQ(answer.field("X-A"), "a");
  EXPECT_EQ(answer.field("X-B"), "") << "it never began";
}

TEST_F(HeadersTest, ADryRunChangesNothing) {
  start(chain("{ headers: { request: { set: { X-A: a } }, response: { set: { X-A: a } }, dry_run: true } }"));
  Answer answer = get("/");
  EXPECT_EQ(answer.body, "GET /\n");
  EXPECT_EQ(answer.field("X-A"), "");
}

// RFC 9110, section 7.6.1, and RFC 9112, section 6: what frames a message or belongs to one connection is not
// a policy's to change.
TEST_F(HeadersTest, RefusesFieldsOfTheConnection) {
  for (std::string_view name : {"Connection", "content-length", "Host", "HTTP2-Settings", "Keep-Alive",
                                "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding", "upgrade"}) {
    for (std::string_view side : {"request", "response"}) {
      const std::string named(name);
      for (const std::string& change :
           {"set: { " + named + ": x }", "add: { " + named + ": x }", "remove: [" + named + "]"}) {
        EXPECT_FALSE(compile(chain("{ headers: { " + std::string(side) + ": { " + change + " } } }")))
            << side << change;
        EXPECT_NE(problems.find("forbidden-field"), std::string::npos) << problems;
      }
    }
  }
}

TEST_F(HeadersTest, RefusesWhatIsNoField) {
  struct Case {
    std::string_view change;
    std::string_view rule;
  };
  for (const Case& each : {
           Case{"set: { \"a b\": x }", "invalid-name"},
           Case{"add: { \"a:\": x }", "invalid-name"},
           Case{"remove: [\"\"]", "invalid-name"},
           Case{"set: { a: \"x\\r\\nb: y\" }", "invalid-value"},
           Case{"add: { a: \"x\\0\" }", "invalid-value"},
       }) {
    EXPECT_FALSE(compile(chain("{ headers: { request: { " + std::string(each.change) + " } } }")))
        << each.change;
    EXPECT_NE(problems.find(each.rule), std::string::npos) << problems;
  }
}

}  // namespace
}  // namespace sluice::policies::testing
