#include "config/diagnostics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::config {
namespace {

using ::testing::HasSubstr;

Diagnostics one_problem(std::string text, Problem problem) {
  Diagnostics out;
  out.sources().add("gateway.yaml", std::move(text));
  out.report(std::move(problem));
  return out;
}

TEST(Diagnostics, TheLineStandsWithACaretUnderThePlace) {
  auto found = one_problem("version: 1\ngatway: {}\n",
                           {{0, 2, 1}, 7, Severity::kError, "unknown-key", "unknown key `gatway`"});
  EXPECT_EQ(found.render_text(),
            "gateway.yaml:2:1: error: unknown key `gatway`\n"
            "    gatway: {}\n"
            "    ^~~~~~\n"
            "1 error\n");
}

TEST(Diagnostics, TabsAndWideTextDoNotMoveTheCaret) {
  auto found = one_problem("\tkey: \xc3\xa4\xc3\xb6 bad\n", {{0, 1, 10}, 0, Severity::kWarning, "x", "m"});
  EXPECT_EQ(found.render_text(),
            "gateway.yaml:1:10: warning: m\n"
            "    \tkey: \xc3\xa4\xc3\xb6 bad\n"
            "    \t        ^\n"
            "1 warning\n");
}

TEST(Diagnostics, ALongLineIsCutToWhatIsAroundThePlace) {
  auto found = one_problem(std::string(5000, 'a') + "X" + std::string(5000, 'b'),
                           {{0, 1, 5001}, 0, Severity::kError, "x", "m"});
  const std::string text = found.render_text();
  EXPECT_LT(text.size(), 400u);
  EXPECT_THAT(text, HasSubstr("    ..." + std::string(60, 'a') + "Xb"));
  EXPECT_THAT(text, HasSubstr("\n" + std::string(67, ' ') + "^\n"));
}

TEST(Diagnostics, NoControlCharacterOfADocumentReachesTheTerminal) {
  auto found = one_problem("a\x1b[31m\n", {{0, 1, 1}, 0, Severity::kError, "x", "name \x1b[31m"});
  EXPECT_EQ(found.render_text().find('\x1b'), std::string::npos);
}

TEST(Diagnostics, ColourIsOnlyWrittenWhenAskedFor) {
  auto found = one_problem("a\n", {{0, 1, 1}, 0, Severity::kError, "x", "m"});
  EXPECT_THAT(found.render_text(true), HasSubstr("\x1b[1;31merror: "));
}

TEST(Diagnostics, ProblemsBeyondTheBoundAreCountedAndErrorsCrowdOutWarnings) {
  Diagnostics found;
  found.sources().add("a.yaml", "");
  for (int i = 0; i < 100; ++i) found.warning(Position{0, 1, 1}, "w", "warning");
  for (int i = 0; i < 20; ++i) found.error(Position{0, 2, 1}, "e", "error");
  EXPECT_EQ(found.problems().size(), 100u);
  EXPECT_EQ(found.omitted(), 20u);
  EXPECT_EQ(std::ranges::count(found.problems(), Severity::kError, &Problem::severity), 20);
  EXPECT_THAT(found.render_text(), HasSubstr("20 errors, 100 warnings (20 not shown)\n"));
}

TEST(Diagnostics, JsonNamesEveryPart) {
  auto found = one_problem("a: \"b\"\n", {{0, 1, 4}, 7, Severity::kError, "wrong-type", "a \"quote\""});
  const std::string json = found.render_json();
  for (std::string_view part :
       {R"("ok": false)", R"("errors": 1)", R"("rule": "wrong-type")", R"("message": "a \"quote\"")",
        R"("file": "gateway.yaml")", R"("line": 1)", R"("column": 4)", R"("end_column": 7)"})
    EXPECT_THAT(json, HasSubstr(part));
}

// SARIF 2.1.0, sections 3.14, 3.27 and 3.30.
TEST(Diagnostics, SarifHasRulesResultsAndRegions) {
  auto found = one_problem("a: b\n", {{0, 1, 4}, 5, Severity::kWarning, "wrong-type", "m"});
  const std::string sarif = found.render_sarif();
  for (std::string_view part :
       {R"("version": "2.1.0")", R"("name": "sluice")", R"("id": "wrong-type")", R"("ruleId": "wrong-type")",
        R"("level": "warning")", R"("uri": "gateway.yaml")", R"("startLine": 1)", R"("startColumn": 4)",
        R"("endColumn": 5)"})
    EXPECT_THAT(sarif, HasSubstr(part));
}

TEST(Suggest, TheNearestNameIsMeant) {
  static constexpr std::string_view kNames[] = {"upstreams", "policies",   "apis",
                                                "gateway",   "rate_limit", "id"};
  const std::pair<std::string_view, std::string_view> kCases[] = {{"upstream", "upstreams"},
                                                                  {"polices", "policies"},
                                                                  {"aips", "apis"},
                                                                  {"gatway", "gateway"},
                                                                  {"rate-limit", "rate_limit"},
                                                                  {"GATEWAY", "gateway"},
                                                                  {"quux", ""},
                                                                  {"xy", ""},
                                                                  {"", ""}};
  for (const auto& [name, expected] : kCases) EXPECT_EQ(nearest(name, kNames), expected) << name;
  EXPECT_EQ(suggest("gatway", kNames), "; did you mean `gateway`?");
  EXPECT_EQ(suggest("quux", kNames), "");
}

}  // namespace
}  // namespace sluice::config
