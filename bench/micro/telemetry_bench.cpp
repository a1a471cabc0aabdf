// What telemetry costs a request: the metrics of one exchange, and its access log line.
#include <benchmark/benchmark.h>

#include <chrono>
#include <string>

#include "telemetry/access_log.h"
#include "telemetry/families.h"

namespace sluice::telemetry {
namespace {

using std::chrono::microseconds;

/// Target: under 60 ns for everything an exchange counts.
void metrics_of_an_exchange(benchmark::State& state) {
  Registry registry;
  Families families(registry);
  WorkerMetrics& worker = registry.attach();
  RouteMetrics route = families.route("users", "read");
  UpstreamMetrics upstream = families.upstream("users");
  auto connections = families.connections("plain");
  int64_t i = 0;
  for (auto _ : state) {
    Duration total = microseconds(100 + (i++ * 97) % 5000);
    worker.add(connections[ConnectionState::kIdle], -1);
    worker.add(connections[ConnectionState::kActive], 1);
    worker.add(upstream.connections[PoolState::kIdle], -1);
    worker.add(upstream.connections[PoolState::kActive], 1);
    worker.add(upstream.requests[UpstreamResult::k2xx]);
    worker.observe(upstream.seconds, total);
    worker.add(upstream.connections[PoolState::kActive], -1);
    worker.add(upstream.connections[PoolState::kIdle], 1);
    worker.add(route.requests[code_class(static_cast<uint16_t>(200 + i % 2))]);
    worker.observe(route.seconds[Phase::kTotal], total);
    worker.observe(route.seconds[Phase::kUpstream], total - microseconds(20));
    worker.observe(route.seconds[Phase::kGateway], microseconds(20));
    worker.add(connections[ConnectionState::kActive], -1);
    worker.add(connections[ConnectionState::kIdle], 1);
    benchmark::ClobberMemory();
  }
}
BENCHMARK(metrics_of_an_exchange);

void refusal_by_code(benchmark::State& state) {
  Registry registry;
  Families families(registry);
  WorkerMetrics& worker = registry.attach();
  NamedCounters refused = families.refused();
  const std::string_view codes[] = {"missing_key", "unknown_key", "rate_limited", "no_route"};
  size_t i = 0;
  for (auto _ : state) worker.add(refused[codes[i++ % 4]]);
}
BENCHMARK(refusal_by_code);

void resolve_a_route(benchmark::State& state) {
  Registry registry;
  Families families(registry);
  std::vector<std::string> names;
  for (int i = 0; i < 10'000; ++i) names.push_back("route-" + std::to_string(i));
  size_t i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(families.route("users", names[i++ % names.size()]));
}
BENCHMARK(resolve_a_route);

void scrape(benchmark::State& state) {
  Registry registry;
  Families families(registry);
  WorkerMetrics& worker = registry.attach();
  for (int i = 0; i < state.range(0); ++i) {
    RouteMetrics route = families.route("users", std::to_string(i));
    worker.add(route.requests[CodeClass::k2xx]);
    worker.observe(route.seconds[Phase::kTotal], microseconds(100));
  }
  for (auto _ : state) benchmark::DoNotOptimize(registry.scrape());
}
BENCHMARK(scrape)->Arg(10)->Arg(10'000)->Unit(benchmark::kMicrosecond);

/// Takes blocks and forgets them.
struct NoChannel : LogChannel {
  LogBlock* take() override { return block.get(); }
  void give(LogBlock* given) override { given->used = given->lines = 0; }
  std::unique_ptr<LogBlock> block{new LogBlock};
};

/// Target: 300 to 400 ns a line.
void access_log_line(benchmark::State& state) {
  Registry registry;
  AccessLog log(std::make_unique<NoChannel>(), static_cast<LogFormat>(state.range(0)), registry.attach(), {});
  AccessRecord record{.time = WallTime{std::chrono::seconds(1'709'210'096)},
                      .request_id = "0190e7a4-6f8c-7c3e-9a51-3f6f2a0c9d11",
                      .trace_id = "4bf92f3577b34da6a3ce929d0e0e4736",
                      .listener = "plain",
                      .client_address = "192.0.2.1",
                      .method = "GET",
                      .host = "api.example.com",
                      .path = "/api/v1/users/42/orders/2024-02-29",
                      .protocol = "HTTP/1.1",
                      .api = "users",
                      .route = "read",
                      .consumer = "mobile-app",
                      .credential = "sk_ab12",
                      .plan = "gold",
                      .status = 200,
                      .upstream = "users",
                      .target = "127.0.0.1:7001",
                      .tries = 1,
                      .request_bytes = 0,
                      .response_bytes = 1024,
                      .total = microseconds(1234),
                      .upstream_time = microseconds(1200),
                      .gateway_time = microseconds(34),
                      .revision = 12};
  for (auto _ : state) {
    record.time += microseconds(137);
    log.write(record);
  }
}
BENCHMARK(access_log_line)->ArgName("text")->Arg(0)->Arg(1);

}  // namespace
}  // namespace sluice::telemetry
