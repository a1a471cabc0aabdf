// Routing among 10,000 routes with parameters, and compiling them (issue 8: under 300 ns, under 150 ms).
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "base/random.h"
#include "gateway/router/root_router.h"

namespace sluice::gateway {
namespace {

constexpr int kRoutes = 10'000;

/// As an OpenAPI document has them: five routes a resource.
std::vector<RouteSpec> routes() {
  std::vector<RouteSpec> all;
  for (int i = 0; static_cast<int>(all.size()) < kRoutes; ++i) {
    std::string base = "/tenants/{tenant}/resource-" + std::to_string(i);
    all.push_back({"list", base, {"GET"}, {}, 0});
    all.push_back({"create", base, {"POST"}, {}, 0});
    all.push_back({"read", base + "/{id}", {"GET"}, {}, 0});
    all.push_back({"items", base + "/{id}/items/{item}", {"GET", "PUT"}, {}, 0});
    all.push_back({"files", base + "/{id}/files/{path**}", {}, {}, 0});
  }
  return all;
}

std::vector<std::string> paths(const std::string& prefix) {
  Random random(1);
  std::vector<std::string> all;
  for (int i = 0; i < 4096; ++i) {
    std::string n = std::to_string(random.below(kRoutes / 5));
    std::string path = prefix + "/tenants/acme/resource-" + n;
    constexpr const char* kTails[] = {"", "/8f14e45f", "/8f14e45f/items/42", "/8f14e45f/files/a/b/c.txt"};
    all.push_back(path + kTails[random.below(4)]);
  }
  return all;
}

void ask(benchmark::State& state, const RootRouter& router, const std::vector<std::string>& all,
         const std::vector<std::string>& hosts) {
  size_t i = 0;
  size_t missed = 0;
  RequestView request;
  for (auto _ : state) {
    request.path = all[i % all.size()];
    request.host = hosts[i % hosts.size()];
    ++i;
    Match match = router.match(request);
    benchmark::DoNotOptimize(match);
    missed += match.outcome != Outcome::kMatched;
  }
  state.counters["missed"] = static_cast<double>(missed);
}

/// All routes in one API.
void BM_OneApi(benchmark::State& state) {
  auto api = *ApiRouter::build(routes());
  auto root = *RootRouter::build(std::vector<ApiEntry>{{{"api", {}, {"api.example.com"}, "/api/v1"}, api}});
  state.counters["bytes"] = static_cast<double>(api->memory_bytes());
  ask(state, *root, paths("/api/v1"), {"api.example.com"});
}
BENCHMARK(BM_OneApi);

/// 2,000 APIs of five routes on as many hosts.
void BM_ManyApis(benchmark::State& state) {
  std::vector<ApiEntry> apis;
  std::vector<RouteSpec> all = routes();
  std::vector<std::string> hosts;
  std::vector<std::string> asked;
  for (int i = 0; i < kRoutes / 5; ++i) {
    std::span<const RouteSpec> own(all.data() + i * 5, 5);
    hosts.push_back("h" + std::to_string(i) + ".example.com");
    asked.push_back("/api/tenants/acme/resource-" + std::to_string(i) + "/8f14e45f/items/42");
    apis.push_back({{"api", {}, {hosts.back()}, "/api"}, *ApiRouter::build(own)});
  }
  auto root = *RootRouter::build(apis);
  state.counters["bytes"] = static_cast<double>(root->memory_bytes());
  ask(state, *root, asked, hosts);
}
BENCHMARK(BM_ManyApis);

void BM_CompileRoutes(benchmark::State& state) {
  auto all = routes();
  for (auto _ : state) benchmark::DoNotOptimize(ApiRouter::build(all));
}
BENCHMARK(BM_CompileRoutes)->Unit(benchmark::kMillisecond);

void BM_BuildRootOverUnchangedApis(benchmark::State& state) {
  auto api = *ApiRouter::build(std::vector<RouteSpec>(1));
  std::vector<ApiEntry> apis;
  for (int i = 0; i < kRoutes; ++i)
    apis.push_back({{"api", {}, {"api.example.com"}, "/v1/a" + std::to_string(i)}, api});
  for (auto _ : state) benchmark::DoNotOptimize(RootRouter::build(apis));
}
BENCHMARK(BM_BuildRootOverUnchangedApis)->Unit(benchmark::kMillisecond);

/// 10,000 routes of one path, told apart by a header: the tie search must not be slow.
void BM_CompileRoutesOfOnePath(benchmark::State& state) {
  std::vector<RouteSpec> all;
  for (int i = 0; i < kRoutes; ++i)
    all.push_back({"r", "/a", {}, {{ConditionSpec::Kind::kHeader, "x-tenant", std::to_string(i)}}, 0});
  for (auto _ : state) benchmark::DoNotOptimize(ApiRouter::build(all));
}
BENCHMARK(BM_CompileRoutesOfOnePath)->Unit(benchmark::kMillisecond);

/// The longest body that routing may see.
void BM_ReadBody(benchmark::State& state) {
  BodyPaths body_paths;
  body_paths.add("$.kind").value();
  std::string body = R"({"items":[)";
  while (body.size() < kBodyPrefixBytes) body += R"({"name":"some item","count":12345,"tags":["a","b"]},)";
  for (auto _ : state) benchmark::DoNotOptimize(body_paths.read({body, false}));
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * kBodyPrefixBytes));
}
BENCHMARK(BM_ReadBody);

}  // namespace
}  // namespace sluice::gateway

BENCHMARK_MAIN();
