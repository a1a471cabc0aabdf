#include "policies/policy_test_fixture.h"
#include "policies/transform/error_pages/page_template.h"

namespace sluice::policies::testing {
namespace {

class ErrorPagesTest : public PolicyTest {
 protected:
  /// Everything but /a is unknown: 404 of the gateway.
  static std::string document(std::string_view pages) {
    return "policies: [ { error_pages: { pages: [" + std::string(pages) +
           "] } } ]\napis: { a: { path: /a, upstream: any, policies: [ { rate_limit: { rate: 1/1h } } ] } "
           "}\n";
  }
};

TEST_F(ErrorPagesTest, TheFirstPageThatFitsTakesTheErrorsPlace) {
  start(
      document("{ statuses: [404], content_type: text/plain, body: 'nothing here ({code})', headers: { "
               "x-page: one } }, "
               "{ statuses: 400-499, body: '<h1>{status} {reason}</h1>' }"));
  Answer answer = get("/b");
  EXPECT_EQ(answer.status, 404);
  EXPECT_EQ(answer.body, "nothing here (no_route)");
  EXPECT_EQ(answer.field("Content-Type"), "text/plain");
  EXPECT_EQ(answer.field("X-Page"), "one");
  EXPECT_EQ(get("/a").status, 200);
  answer = get("/a");
  EXPECT_EQ(answer.status, 429);
  EXPECT_EQ(answer.body, "<h1>429 Too Many Requests</h1>");
  EXPECT_EQ(answer.field("Content-Type"), "text/html; charset=utf-8");
  EXPECT_EQ(answer.field("Retry-After"), "3600") << "what else the error says stays";
  EXPECT_EQ(ask("HEAD /b HTTP/1.1\r\nHost: a.test\r\n\r\n").field("Content-Length"), "23");
}

TEST_F(ErrorPagesTest, AnErrorMayBecomeAnotherAnswer) {
  start(document(
      "{ codes: [rate_limited], status: 200, content_type: application/json, body: '{\"items\":[]}' }"));
  EXPECT_EQ(get("/a").status, 200);
  Answer answer = get("/a");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "{\"items\":[]}");
  EXPECT_EQ(get("/b").field("Content-Type"), "application/problem+json") << "no page fits";
  EXPECT_NE(access_log().find("\"error_code\":\"rate_limited\""), std::string::npos)
      << "the log says what it was";
}

TEST_F(ErrorPagesTest, APageMayBeForThoseWhoAcceptItAlone) {
  start(document("{ accepted: true, body: page }"));
  for (auto [accept, page] : {std::pair{"text/html", true},
                              {"application/json, text/*;q=0.3", true},
                              {"*/*", true},
                              {"application/json", false},
                              {"text/html;q=0, application/json", false}})
    EXPECT_EQ(get("/b", "Accept: " + std::string(accept) + "\r\n").body == "page", page) << accept;
  EXPECT_EQ(get("/b").body, "page") << "who says nothing accepts all (RFC 9110, section 12.5.1)";
}

TEST_F(ErrorPagesTest, ValuesCannotBecomeMarkup) {
  using Escape = PageTemplate::Escape;
  Arena arena;
  PageTemplate::Values values{.status = 500, .code = "c", .detail = "a<b>\"&'\n\\", .request_id = "id"};
  EXPECT_EQ(PageTemplate("{detail}", Escape::kMarkup).fill(values, arena), "a&#60;b&#62;&#34;&#38;&#39;\n\\");
  EXPECT_EQ(PageTemplate("{detail}", Escape::kJson).fill(values, arena), "a<b>\\u0022&'\\u000a\\u005c");
  EXPECT_EQ(PageTemplate("{detail}", Escape::kNone).fill(values, arena), values.detail);
  EXPECT_EQ(PageTemplate("{a: {status}, {x} {request_id}}", Escape::kNone).fill(values, arena),
            "{a: 500, {x} id}");
  EXPECT_EQ(PageTemplate("", Escape::kNone).fill(values, arena), "");
}

TEST_F(ErrorPagesTest, SaysWhatIsWrong) {
  for (auto [page, problem] :
       {std::pair{"{ statuses: [200-599] }", "errors have statuses from 400 on"},
        {"{ codes: [x], of: both }", "only the gateway's own errors have codes"},
        {"{ status: 204 }", "an answer with this status has no body"},
        {"{ headers: { content-length: '3' } }", "`content-length` cannot be set here"}}) {
    EXPECT_FALSE(compile(document(page))) << page;
    EXPECT_NE(problems.find(problem), std::string::npos) << problems;
  }
}

}  // namespace
}  // namespace sluice::policies::testing
