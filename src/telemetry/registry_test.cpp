#include "telemetry/registry.h"

#include <gtest/gtest.h>

#include <string>

#include "telemetry/families.h"

namespace sluice::telemetry {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

size_t lines_of(const std::string& text, std::string_view prefix) {
  size_t count = 0;
  for (size_t at = 0; at < text.size(); at = text.find('\n', at) + 1)
    count += text.compare(at, prefix.size(), prefix) == 0;
  return count;
}
bool has_line(const std::string& text, std::string_view line) {
  std::string whole = "\n" + std::string(line) + "\n";
  return ("\n" + text).find(whole) != std::string::npos;
}

// Prometheus, "Exposition formats", text format 0.0.4: HELP and TYPE first, cumulated buckets, +Inf equal to
// _count.
TEST(Registry, WritesThePrometheusTextFormat) {
  Registry registry;
  auto requests = registry.add_family({.name = "requests_total",
                                       .help = "Requests.",
                                       .labels = {"api"},
                                       .fixed_label = "code",
                                       .fixed_values = {"2xx", "5xx"}});
  auto open = registry.add_family({.name = "open", .help = "Open things.", .kind = MetricKind::kGauge});
  auto busy = registry.add_family(
      {.name = "busy", .help = "Busy.", .kind = MetricKind::kGauge, .labels = {"worker"}, .unit = 1e-6});
  auto time = registry.add_family(
      {.name = "time_seconds", .help = "Time.", .kind = MetricKind::kHistogram, .labels = {"api"}});
  WorkerMetrics& one = registry.attach();
  WorkerMetrics& two = registry.attach();
  Counter first{registry.resolve(requests, {"a"})};
  one.add(first, 2);
  two.add(first, 3);
  registry.resolve(requests, {"never counted"});
  Gauge gauge{registry.resolve(open, {})};
  one.add(gauge, 5);
  two.add(gauge, -2);
  registry.add_source(gauge, [] { return int64_t{100}; });
  one.set(Gauge{registry.resolve(busy, {"0"})}, 250'000);
  Histogram histogram{registry.resolve(time, {"a"})};
  one.observe(histogram, microseconds(50));
  one.observe(histogram, microseconds(51));
  two.observe(histogram, milliseconds(300));
  two.observe(histogram, seconds(61));
  EXPECT_EQ(registry.scrape(), R"(# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{api="a",code="2xx"} 5
requests_total{api="a",code="5xx"} 0
# HELP open Open things.
# TYPE open gauge
open 103
# HELP busy Busy.
# TYPE busy gauge
busy{worker="0"} 0.25
# HELP time_seconds Time.
# TYPE time_seconds histogram
time_seconds_bucket{api="a",le="0.00005"} 1
time_seconds_bucket{api="a",le="0.0001"} 2
time_seconds_bucket{api="a",le="0.00025"} 2
time_seconds_bucket{api="a",le="0.0005"} 2
time_seconds_bucket{api="a",le="0.001"} 2
time_seconds_bucket{api="a",le="0.0025"} 2
time_seconds_bucket{api="a",le="0.005"} 2
time_seconds_bucket{api="a",le="0.01"} 2
time_seconds_bucket{api="a",le="0.025"} 2
time_seconds_bucket{api="a",le="0.05"} 2
time_seconds_bucket{api="a",le="0.1"} 2
time_seconds_bucket{api="a",le="0.25"} 2
time_seconds_bucket{api="a",le="0.5"} 3
time_seconds_bucket{api="a",le="1"} 3
time_seconds_bucket{api="a",le="2.5"} 3
time_seconds_bucket{api="a",le="5"} 3
time_seconds_bucket{api="a",le="10"} 3
time_seconds_bucket{api="a",le="60"} 3
time_seconds_bucket{api="a",le="+Inf"} 4
time_seconds_sum{api="a"} 61.300101
time_seconds_count{api="a"} 4
)");
}

// Text format 0.0.4: "label_value ... backslash, double-quote and line feed characters have to be escaped".
TEST(Registry, EscapesLabelValues) {
  Registry registry;
  auto family = registry.add_family({.name = "g", .help = "G.", .kind = MetricKind::kGauge, .labels = {"l"}});
  registry.attach();
  registry.resolve(family, {"a\\b\"c\nd\xC3\xA9\xFF"});
  EXPECT_TRUE(has_line(registry.scrape(), "g{l=\"a\\\\b\\\"c\\nd\xC3\xA9\xEF\xBF\xBD\"} 0"));
}

TEST(Registry, SameLabelsGiveTheSameHandle) {
  Registry registry;
  Families families(registry);
  WorkerMetrics& worker = registry.attach();
  worker.add(families.route("users", "read").requests[CodeClass::k2xx]);
  worker.add(families.route("users", "read").requests[CodeClass::k2xx]);
  EXPECT_EQ(families.route("users", "read").requests.slot, families.route("users", "read").requests.slot);
  EXPECT_NE(families.route("users", "read").requests.slot, families.route("users", "write").requests.slot);
  EXPECT_TRUE(
      has_line(registry.scrape(), R"(sluice_requests_total{api="users",route="read",code_class="2xx"} 2)"));
}

TEST(Registry, ThreadThatComesLateSeesOldSeries) {
  Registry registry;
  Families families(registry);
  RouteMetrics last;
  for (int i = 0; i < 2000; ++i) last = families.route("a", std::to_string(i));
  registry.attach().add(last.requests[CodeClass::k4xx]);
  EXPECT_TRUE(
      has_line(registry.scrape(), R"(sluice_requests_total{api="a",route="1999",code_class="4xx"} 1)"));
}

// Contract, section 3a: 5,000 routes make at most 600 series unless metrics.per_route is on.
TEST(Families, ManyRoutesAreFoldedIntoOther) {
  Registry registry;
  Families families(registry);
  WorkerMetrics& worker = registry.attach();
  uint64_t before = 0;
  for (int i = 0; i < 5000; ++i) {
    worker.add(families.route(i % 2 ? "odd" : "even", std::to_string(i)).requests[CodeClass::k2xx]);
    if (i % 1000 == 500) {  // no counter may go back
      std::string text = registry.scrape();
      size_t at = text.find(R"(sluice_requests_total{api="odd",route="other",code_class="2xx"} )");
      ASSERT_NE(at, std::string::npos);
      uint64_t now = std::stoull(text.substr(text.find("} ", at) + 2));
      EXPECT_GT(now, before);
      before = now;
    }
  }
  std::string text = registry.scrape();
  EXPECT_LE(lines_of(text, "sluice_requests_total{"), 600u);
  EXPECT_EQ(lines_of(text, "sluice_requests_total{"), 90u * 5 + 2 * 5);
  EXPECT_TRUE(has_line(text, R"(sluice_requests_total{api="even",route="0",code_class="2xx"} 1)"));
  EXPECT_TRUE(has_line(text, R"(sluice_requests_total{api="even",route="other",code_class="2xx"} 2455)"));
  EXPECT_TRUE(has_line(text, R"(sluice_requests_total{api="odd",route="other",code_class="2xx"} 2455)"));
}

TEST(Families, ManyApisAreFoldedIntoOneOther) {
  Registry registry;
  Families families(registry);
  WorkerMetrics& worker = registry.attach();
  for (int i = 0; i < 1000; ++i) {
    RouteMetrics route = families.route("api" + std::to_string(i), "r");
    worker.add(route.requests[CodeClass::k5xx]);
    worker.observe(route.seconds[Phase::kGateway], microseconds(10));
  }
  std::string text = registry.scrape();
  EXPECT_LE(lines_of(text, "sluice_requests_total{"), 600u);
  EXPECT_TRUE(has_line(text, R"(sluice_requests_total{api="other",route="other",code_class="5xx"} 881)"));
  EXPECT_EQ(lines_of(text, "sluice_request_seconds_count{"), 300u);
  EXPECT_TRUE(has_line(text, R"(sluice_request_seconds_count{api="other",phase="gateway"} 901)"));
}

TEST(Families, ARouteCalledOtherSharesTheFoldedSeries) {
  Registry registry;
  Families families(registry);
  WorkerMetrics& worker = registry.attach();
  for (int i = 0; i < 200; ++i) worker.add(families.route("a", std::to_string(i)).requests[CodeClass::k2xx]);
  worker.add(families.route("a", "other").requests[CodeClass::k2xx]);
  worker.add(families.route("other", "other").requests[CodeClass::k2xx]);
  std::string text = registry.scrape();
  EXPECT_EQ(lines_of(text, R"(sluice_requests_total{api="a",route="other",code_class="2xx"})"), 1u);
  EXPECT_TRUE(has_line(text, R"(sluice_requests_total{api="a",route="other",code_class="2xx"} 111)"));
  EXPECT_TRUE(has_line(text, R"(sluice_requests_total{api="other",route="other",code_class="2xx"} 1)"));
}

TEST(Families, PerRouteShowsEveryRoute) {
  Registry registry;
  Families families(registry);
  families.set_per_route(true);
  WorkerMetrics& worker = registry.attach();
  for (int i = 0; i < 5000; ++i) worker.add(families.route("a", std::to_string(i)).requests[CodeClass::k2xx]);
  EXPECT_EQ(lines_of(registry.scrape(), "sluice_requests_total{"), 25'000u);
}

TEST(Families, EveryStatusHasAClass) {
  struct {
    uint16_t status;
    CodeClass expected;
  } const cases[] = {{100, CodeClass::k1xx}, {200, CodeClass::k2xx}, {308, CodeClass::k3xx},
                     {499, CodeClass::k4xx}, {500, CodeClass::k5xx}, {599, CodeClass::k5xx},
                     {0, CodeClass::k5xx},   {999, CodeClass::k5xx}};
  for (const auto& c : cases) EXPECT_EQ(code_class(c.status), c.expected) << c.status;
  EXPECT_EQ(upstream_result(404), UpstreamResult::k4xx);
}

// Contract, section 3a, as far as issue 8 goes: names and labels, each once.
TEST(Families, HaveTheContractsNamesAndLabels) {
  Registry registry;
  Families families(registry);
  WorkerMetrics& worker = registry.attach();
  RouteMetrics route = families.route("users", "read");
  UpstreamMetrics upstream = families.upstream("backend");
  NamedCounters refused = families.refused(), hits = families.limit_hits();
  worker.add(route.requests[CodeClass::k2xx]);
  worker.observe(route.seconds[Phase::kUpstream], milliseconds(1));
  worker.add(refused["missing_key"]);
  worker.add(refused["missing_key"]);
  worker.add(families.connections("plain")[ConnectionState::kActive], 1);
  worker.add(upstream.requests[UpstreamResult::kNoTarget]);
  worker.observe(upstream.seconds, milliseconds(1));
  worker.add(upstream.connections[PoolState::kIdle], 1);
  worker.add(upstream.retries[RetryReason::kStatus]);
  worker.add(families.limited("free"));
  worker.add(hits["request_head"]);
  worker.add(families.reloads()[ReloadResult::kSuccess]);
  worker.set(families.config_revision(), 7);
  worker.set(families.worker_busy_ppm(1), 500'000);
  worker.set(families.build_info("0.1.0", "epoll"), 1);
  worker.set(families.io_backend("epoll", "configured"), 1);
  StreamMetrics stream = families.stream("database");
  worker.add(stream.sessions[StreamResult::kComplete]);
  worker.add(stream.bytes[StreamDirection::kToClient], 3);
  worker.add(stream.datagrams[DatagramFate::kDropped]);
  worker.add(families.grpc("users", "read")[http::GrpcStatus::kUnavailable]);
  NamedCounters ended = families.websockets_ended();
  worker.add(families.websockets().open, 1);
  worker.add(families.websockets().sent, 5);
  worker.add(families.websockets().messages_received, 2);
  worker.add(ended["client"]);
  worker.add(families.acme_orders("shop")[AcmeResult::kFailure]);
  NamedCounters closes = families.websocket_closes();
  worker.add(closes["1001"]);
  std::string text = registry.scrape();
  for (std::string_view line : {
           R"(sluice_acme_orders_total{name="shop",result="failure"} 1)",
           R"(sluice_stream_sessions_total{stream="database",result="complete"} 1)",
           R"(sluice_stream_bytes_total{stream="database",direction="to_client"} 3)",
           R"(sluice_stream_datagrams_total{stream="database",fate="dropped"} 1)",
           "sluice_websockets 1",
           R"(sluice_websocket_bytes_total{direction="received"} 0)",
           R"(sluice_websocket_bytes_total{direction="sent"} 5)",
           R"(sluice_websocket_messages_total{direction="received"} 2)",
           R"(sluice_grpc_requests_total{api="users",route="read",grpc_status="unavailable"} 1)",
           R"(sluice_websockets_ended_total{how="client"} 1)",
           R"(sluice_websocket_closes_total{code="1001"} 1)",
           R"(sluice_requests_total{api="users",route="read",code_class="2xx"} 1)",
           R"(sluice_request_seconds_count{api="users",phase="upstream"} 1)",
           R"(sluice_refused_total{code="missing_key"} 2)",
           R"(sluice_connections{listener="plain",state="active"} 1)",
           R"(sluice_connections{listener="plain",state="idle"} 0)",
           R"(sluice_upstream_requests_total{upstream="backend",result="no_target"} 1)",
           R"(sluice_upstream_seconds_count{upstream="backend"} 1)",
           R"(sluice_upstream_connections{upstream="backend",state="idle"} 1)",
           R"(sluice_retries_total{upstream="backend",reason="status"} 1)",
           R"(sluice_limited_total{policy="free"} 1)",
           R"(sluice_limit_hits_total{limit="request_head"} 1)",
           R"(sluice_reloads_total{result="success"} 1)",
           R"(sluice_reloads_total{result="failure"} 0)",
           "sluice_config_revision 7",
           "sluice_log_dropped_total 0",
           R"(sluice_worker_busy_ratio{worker="1"} 0.5)",
           R"(sluice_build_info{version="0.1.0",io="epoll"} 1)",
           R"(sluice_io_backend{backend="epoll",reason="configured"} 1)",
       })
    EXPECT_TRUE(has_line(text, line)) << line << "\n" << text;
  EXPECT_EQ(lines_of(text, "# TYPE "), 42u);
}

}  // namespace
}  // namespace sluice::telemetry
