#include "telemetry/process_log.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <regex>
#include <string>

namespace sluice::telemetry {
namespace {

class ProcessLogTest : public ::testing::Test {
 protected:
  void TearDown() override {
    log::set_hook(nullptr);
    log::configure({});
  }
  template <class F>
  static std::string captured(F body) {
    testing::internal::CaptureStderr();
    body();
    return testing::internal::GetCapturedStderr();
  }
};

TEST_F(ProcessLogTest, TextIsOneLineWithTimeAndLevel) {
  log::configure({});
  std::string out = captured([] { log::warning("listener {} is on port {}", "plain", 8080); });
  std::regex expected(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z warning listener plain is on port 8080\n)");
  EXPECT_TRUE(std::regex_match(out, expected)) << out;
}

TEST_F(ProcessLogTest, MessageCannotForgeALineOrSteerATerminal) {
  log::configure({});
  std::string out = captured([] { log::info("a\nb \x1b[31m \"quoted\" \\ \xFF"); });
  EXPECT_TRUE(out.ends_with("info    a\\nb \\u001b[31m \"quoted\" \\ \xEF\xBF\xBD\n")) << out;
}

TEST_F(ProcessLogTest, JsonIsOneObjectALine) {
  log::configure({.format = log::Format::kJson});
  std::string out = captured([] { log::error("broke: \"{}\"\n", "x"); });
  auto object = boost::json::parse(out).as_object();
  EXPECT_EQ(object["level"], "error");
  EXPECT_EQ(object["message"], "broke: \"x\"\n");
  EXPECT_EQ(object.size(), 3u);
  EXPECT_EQ(out.find('\n'), out.size() - 1);
}

TEST_F(ProcessLogTest, LinesAreBounded) {
  for (log::Format format : {log::Format::kText, log::Format::kJson})
    for (std::string text :
         {std::string(100'000, 'x'), std::string(100'000, '"'), std::string(100'000, '\x01')}) {
      log::configure({.format = format});
      std::string out = captured([&] { log::info("{}", text); });
      EXPECT_LE(out.size(), 4096u);
      EXPECT_GE(out.size(), 3900u);
      EXPECT_EQ(out.find('\n'), out.size() - 1);
    }
}

TEST_F(ProcessLogTest, LevelsBelowTheConfiguredOneAreSilent) {
  log::configure({.level = log::Level::kWarning});
  EXPECT_EQ(captured([] {
              log::debug("no");
              log::info("no");
            }),
            "");
  EXPECT_NE(captured([] { log::warning("yes"); }), "");
  log::configure({.level = log::Level::kOff});
  EXPECT_EQ(captured([] { log::error("no"); }), "");
}

TEST_F(ProcessLogTest, NoColourWhenNotATerminal) {
  log::configure({.colour = log::Colour::kAuto});
  EXPECT_EQ(captured([] { log::error("plain"); }).find('\x1b'), std::string::npos);
}

TEST_F(ProcessLogTest, HookTakesTheMessages) {
  static std::string seen;
  log::set_hook([](log::Level level, std::string_view message) {
    seen = std::string(log::level_text(level)) + ": " + std::string(message);
  });
  EXPECT_EQ(captured([] { log::info("hello {}", 1); }), "");
  EXPECT_EQ(seen, "info: hello 1");
}

TEST_F(ProcessLogTest, LevelNamesAreParsed) {
  EXPECT_EQ(log::parse_level("warning"), log::Level::kWarning);
  EXPECT_EQ(log::parse_level("off"), log::Level::kOff);
  EXPECT_EQ(log::parse_level("loud"), std::nullopt);
}

}  // namespace
}  // namespace sluice::telemetry
