#include "policies/policy_test_fixture.h"

namespace sluice::policies::testing {
namespace {

// Contract, section 3 "Identity of a request".
class RequestIdTest : public PolicyTest {
 protected:
  /// What the handler saw.
  static std::string seen(const Answer& answer) {
    size_t at = answer.body.find("X-Request-Id: ");
    if (at == std::string::npos) return {};
    at += strlen("X-Request-Id: ");
    return answer.body.substr(at, answer.body.find('\n', at) - at);
  }
};

TEST_F(RequestIdTest, MakesOneForUpstreamAnswerAndLog) {
  start(chain("{ request_id: {} }"));
  Answer first = get("/");
  Answer second = get("/");
  std::string id = first.field("X-Request-Id");
  EXPECT_EQ(id.size(), 32u);
  EXPECT_EQ(id.find_first_not_of("0123456789abcdef"), std::string::npos);
  EXPECT_EQ(seen(first), id);
  EXPECT_NE(second.field("X-Request-Id"), id);
  std::string log = access_log();
  EXPECT_NE(log.find("\"request_id\":\"" + id + "\""), std::string::npos) << log;
  EXPECT_EQ(log.find("client_request_id"), std::string::npos) << log;
}

TEST_F(RequestIdTest, TakesOneOverFromATrustedProxy) {
  start(chain("{ request_id: {} }"));
  client_loop.set_source(*io::Address::parse_ip("10.0.0.1"));
  Answer answer = get("/", "X-Request-Id: from-proxy\r\n");
  EXPECT_EQ(answer.field("X-Request-Id"), "from-proxy");
  EXPECT_EQ(seen(answer), "from-proxy");
  EXPECT_NE(access_log().find("\"request_id\":\"from-proxy\""), std::string::npos);
}

TEST_F(RequestIdTest, LogsAnybodyElsesAsTheClients) {
  start(chain("{ request_id: {} }"));
  Answer answer = get("/", "X-Request-Id: from-client\r\n");
  EXPECT_EQ(answer.field("X-Request-Id").size(), 32u);
  EXPECT_EQ(seen(answer), answer.field("X-Request-Id"));
  std::string log = access_log();
  EXPECT_NE(log.find("\"client_request_id\":\"from-client\""), std::string::npos) << log;
  EXPECT_NE(log.find("\"request_id\":\"" + seen(answer) + "\""), std::string::npos) << log;
}

TEST_F(RequestIdTest, DoesNotTakeOverWhatIsUnfit) {
  start(chain("{ request_id: {} }"));
  client_loop.set_source(*io::Address::parse_ip("10.0.0.1"));
  const std::string longest(128, 'x');
  EXPECT_EQ(get("/", "X-Request-Id: " + longest + "\r\n").field("X-Request-Id"), longest);
  for (const std::string& fields :
       {"X-Request-Id: " + longest + "x\r\n", std::string("X-Request-Id: a\r\nX-Request-Id: b\r\n"),
        std::string("X-Request-Id:\r\n")}) {
    Answer answer = get("/", fields);
    EXPECT_EQ(answer.field("X-Request-Id").size(), 32u) << fields;
    EXPECT_EQ(seen(answer), answer.field("X-Request-Id")) << fields << " the received ones are replaced";
  }
}

TEST_F(RequestIdTest, ErrorsCarryItToo) {
  start(chain("{ request_id: {} }, { api_key: {} }"));
  Answer answer = get("/");
  EXPECT_EQ(answer.status, 401);
  std::string id = answer.field("X-Request-Id");
  EXPECT_EQ(id.size(), 32u);
  EXPECT_NE(answer.body.find("\"request_id\":\"" + id + "\""), std::string::npos) << answer.body;
}

// The answer's own id would be another one's: an upstream cannot know better.
TEST_F(RequestIdTest, ReplacesWhatTheAnswerSays) {
  start(chain("{ request_id: {} }, { headers: { response: { add: { X-Request-Id: theirs } } } }"));
  EXPECT_EQ(get("/").field("X-Request-Id").size(), 32u);
}

}  // namespace
}  // namespace sluice::policies::testing
