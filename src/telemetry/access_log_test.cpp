#include "telemetry/access_log.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <string>
#include <vector>

#include "telemetry/registry.h"

namespace sluice::telemetry {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// As the simulator's: no thread, blocks go to a text at once.
class TextSink : public LogSink {
 public:
  struct Channel : LogChannel {
    explicit Channel(TextSink& to) : sink(to) {}
    LogBlock* take() override { return sink.behind ? nullptr : &block; }
    void give(LogBlock* given) override {
      sink.gives.push_back(std::string(given->text()));
      given->used = given->lines = 0;
    }
    TextSink& sink;
    LogBlock block;
  };
  std::unique_ptr<LogChannel> open_channel() override { return std::make_unique<Channel>(*this); }
  void reopen() override {}
  uint64_t lost_lines() const override { return 0; }

  std::vector<std::string> gives;
  bool behind = false;
};

class AccessLogTest : public ::testing::Test {
 protected:
  AccessLog log(LogFormat format = LogFormat::kJson) {
    return {sink.open_channel(), format, metrics, dropped};
  }
  std::string all() const {
    std::string text;
    for (const auto& piece : sink.gives) text += piece;
    return text;
  }

  Registry registry;
  Registry::FamilyId family = registry.add_family({.name = "dropped_total", .help = "Dropped."});
  WorkerMetrics& metrics = registry.attach();
  Counter dropped{registry.resolve(family, {})};
  TextSink sink;
};

AccessRecord full_record() {
  return {.time = WallTime{seconds(1709210096) + milliseconds(7)},
          .request_id = "0190e7a4",
          .client_request_id = "theirs",
          .trace_id = "4bf92f3577b34da6a3ce929d0e0e4736",
          .listener = "plain",
          .client_address = "192.0.2.1",
          .method = "GET",
          .host = "api.example.com",
          .path = "/api/v1/users/42",
          .protocol = "HTTP/1.1",
          .api = "users",
          .route = "read",
          .consumer = "mobile-app",
          .credential = "sk_ab12",
          .plan = "gold",
          .status = 502,
          .error_by = ErrorBy::kUpstream,
          .error_code = "upstream_reset",
          .close_code = 1006,
          .upstream = "users",
          .target = "127.0.0.1:7001",
          .tries = 2,
          .request_bytes = 0,
          .response_bytes = 512,
          .total = microseconds(1234),
          .upstream_time = microseconds(1200),
          .gateway_time = microseconds(34),
          .cache = "miss",
          .revision = 12};
}

// Contract, section 3a: the names of the fields.
TEST_F(AccessLogTest, LineHasTheContractsFields) {
  auto access = log();
  access.write(full_record());
  access.flush();
  EXPECT_EQ(
      all(),
      R"({"time":"2024-02-29T12:34:56.007Z","request_id":"0190e7a4","client_request_id":"theirs",)"
      R"("trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","listener":"plain","client_address":"192.0.2.1",)"
      R"("method":"GET","host":"api.example.com","path":"/api/v1/users/42","protocol":"HTTP/1.1",)"
      R"("api":"users","route":"read","consumer":"mobile-app","credential":"sk_ab12","plan":"gold",)"
      R"("status":502,"error_by":"upstream","error_code":"upstream_reset","close_code":1006,"upstream":"users",)"
      R"("target":"127.0.0.1:7001","tries":2,"request_bytes":0,"response_bytes":512,"seconds":0.001234,)"
      R"("upstream_seconds":0.001200,"gateway_seconds":0.000034,"cache":"miss","revision":12})"
      "\n");
}

TEST_F(AccessLogTest, WhatIsNotKnownIsAbsent) {
  auto access = log();
  access.write({.time = WallTime{}, .status = 400});
  access.flush();
  EXPECT_EQ(all(), "{\"time\":\"1970-01-01T00:00:00.000Z\",\"status\":400}\n");
}

TEST_F(AccessLogTest, TextIsTheCommonFormatAndMore) {
  auto access = log(LogFormat::kText);
  access.write(full_record());
  access.write({.client_address = "a b\"\n", .path = "/\"\n"});
  access.flush();
  EXPECT_EQ(all(),
            "192.0.2.1 - mobile-app [29/Feb/2024:12:34:56 +0000] \"GET /api/v1/users/42 HTTP/1.1\" 502 512 "
            "\"api.example.com\" users/read 127.0.0.1:7001 0.001234 0190e7a4 upstream_reset\n"
            "a_b__ - - [01/Jan/1970:00:00:00 +0000] \"- /\\\"\\n -\" - - \"-\" -/- - - - -\n");
}

/// A record whose every field is as long and as bad as can be.
AccessRecord worst_record(std::string_view text) {
  return {.time = WallTime::max(),
          .request_id = text,
          .client_request_id = text,
          .trace_id = text,
          .listener = text,
          .client_address = text,
          .method = text,
          .host = text,
          .path = text,
          .protocol = text,
          .api = text,
          .route = text,
          .consumer = text,
          .credential = text,
          .plan = text,
          .status = 65535,
          .error_by = ErrorBy::kUpstream,
          .error_code = text,
          .upstream = text,
          .target = text,
          .tries = UINT32_MAX,
          .request_bytes = UINT64_MAX,
          .response_bytes = UINT64_MAX,
          .total = Duration::max(),
          .upstream_time = Duration::max(),
          .gateway_time = Duration::max(),
          .cache = text,
          .revision = UINT64_MAX};
}

TEST_F(AccessLogTest, HostileTextMakesBoundedValidJson) {
  std::string bytes;
  for (int i = 0; i < 20'000; ++i) bytes += static_cast<char>(i * 7 + i / 256);
  for (const std::string& text : {bytes, std::string(10'000, '\x01'), std::string(10'000, 'x')}) {
    for (LogFormat format : {LogFormat::kJson, LogFormat::kText}) {
      sink.gives.clear();
      auto access = log(format);
      access.write(worst_record(text));
      access.flush();
      std::string line = all();
      EXPECT_LE(line.size() + 8, kLogLineBytes);
      EXPECT_EQ(line.find('\n'), line.size() - 1);
      if (format == LogFormat::kText) continue;
      boost::json::value value = boost::json::parse(line);
      EXPECT_EQ(value.as_object().size(), 28u);
    }
  }
}

TEST_F(AccessLogTest, FullBlockIsHandedOverWhole) {
  auto access = log();
  for (int i = 0; i < 1000; ++i) access.write(full_record());
  EXPECT_GE(sink.gives.size(), 5u);
  access.flush();
  for (const auto& piece : sink.gives) {
    EXPECT_EQ(piece.substr(0, 9), "{\"time\":\"");
    EXPECT_EQ(piece.back(), '\n');
  }
  EXPECT_EQ(std::ranges::count(all(), '\n'), 1000);
}

TEST_F(AccessLogTest, LineWithoutBlockIsDroppedAndCounted) {
  auto access = log();
  sink.behind = true;
  access.write(full_record());
  access.write(full_record());
  sink.behind = false;
  access.write(full_record());
  access.flush();
  EXPECT_EQ(std::ranges::count(all(), '\n'), 1);
  EXPECT_NE(registry.scrape().find("\ndropped_total 2\n"), std::string::npos);
}

TEST_F(AccessLogTest, FlushesWhenToldAndAtTheEnd) {
  {
    auto access = log();
    access.write(full_record());
    EXPECT_EQ(sink.gives.size(), 0u);
    access.flush();
    EXPECT_EQ(sink.gives.size(), 1u);
    access.flush();  // nothing there
    EXPECT_EQ(sink.gives.size(), 1u);
    access.write(full_record());
  }
  EXPECT_EQ(sink.gives.size(), 2u);
}

}  // namespace
}  // namespace sluice::telemetry
