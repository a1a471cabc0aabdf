// A world without faults and without checks: one worker, keep-alive clients, a small GET that an upstream
// answers with 1 KiB. What it takes is the gateway's code and the world's.
#include "bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "gateway.h"
#include "io/sim/sim_resolver.h"
#include "rate_model.h"

namespace sluice::sim {

namespace {

constexpr size_t kClients = 64;
constexpr std::string_view kRequest =
    "GET /plain/item HTTP/1.1\r\nHost: sim.test\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n";
constexpr std::string_view kDocument =
    "version: 1\n"
    "gateway: { listen: [ { name: plain, address: 10.9.0.1:80 } ], access_log: { format: off } }\n"
    "upstreams: { main: { targets: [ http://10.2.0.1:9000 ] } }\n"
    "apis: { plain: { path: /plain, upstream: main } }\n";

struct Bench {
  io::SimWorld world;
  io::SimLoop& main = world.add_loop();
  io::SimLoop& peers = world.add_loop(io::SimRole::kPeer);
  io::SimResolver resolver{main};
  SimPolicies policies{[](gateway::Exchange&, const std::string&) {}};
  Violations violations;
  SimGateway gateway{world, main, resolver, policies, 1, 1, violations};
  std::string answer =
      "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1024\r\n\r\n" + std::string(1024, 'x');
  io::CancelToken listening;
  std::unique_ptr<io::Listener> listener;
  io::TaskScope scope;
  uint64_t answered = 0;
  uint64_t served = 0;
  bool stopping = false;

  io::Task<> accept_all() {
    for (;;) {
      auto stream = co_await listener->accept();
      if (!stream) break;
      scope.spawn(serve(std::move(*stream)));
    }
    listener.reset();
  }
  io::Task<> serve(std::unique_ptr<io::Stream> stream) {
    for (;;) {
      auto lease = co_await stream->read();
      if (!lease || lease->empty()) co_return;
      bool whole = lease->bytes().ends_with("\r\n\r\n");
      lease->release();
      if (!whole) continue;
      ++served;
      iovec piece{answer.data(), answer.size()};
      auto written = co_await stream->write({&piece, 1});
      if (!written) co_return;
    }
  }
  io::Task<> ask() {
    io::CancelToken token;
    auto connected = co_await peers.connect(gateway.address(), token);
    if (!connected) co_return;
    std::unique_ptr<io::Stream> stream = std::move(*connected);
    size_t wanted = 0;
    while (!stopping) {
      iovec piece{const_cast<char*>(kRequest.data()), kRequest.size()};
      auto written = co_await stream->write({&piece, 1});
      if (!written) co_return;
      for (size_t got = 0; got == 0 || got < wanted;) {
        auto lease = co_await stream->read();
        if (!lease || lease->empty()) co_return;
        if (wanted == 0) wanted = lease->bytes().find("\r\n\r\n") + 4 + 1024;
        got += lease->size();
      }
      ++answered;
    }
  }
};

}  // namespace

int run_bench(double wall_seconds) {
  using Clock = std::chrono::steady_clock;
  auto bench = std::make_unique<Bench>();
  {
    io::CurrentLoop current(bench->peers);
    auto opened = bench->peers.listen(*io::Address::parse_ip("10.2.0.1", 9000), {});
    if (!opened) return 1;
    bench->listener = std::move(*opened);
    bench->listener->bind(bench->listening);
    bench->scope.spawn(bench->accept_all());
  }
  if (!bench->gateway.start(std::string(kDocument), false)) {
    fmt::print(stderr, "the document was refused: {}\n", bench->gateway.problems());
    return 1;
  }
  bench->world.run_for(std::chrono::milliseconds(100));  // until it listens
  {
    io::CurrentLoop current(bench->peers);
    for (size_t i = 0; i < kClients; ++i) bench->scope.spawn(bench->ask());
  }
  auto began = Clock::now();
  double took = 0;
  for (uint64_t goal = 10'000; took < wall_seconds; goal += 10'000) {
    bool reached = bench->world.run_until([&] { return bench->answered >= goal; });
    if (!reached) return 1;
    took = std::chrono::duration<double>(Clock::now() - began).count();
  }
  uint64_t answered = bench->answered;
  bench->stopping = true;
  bench->gateway.shut_down(std::chrono::seconds(1));
  bench->listening.cancel(io::CancelReason::kDrain);
  bench->world.run_until([&] { return bench->gateway.ended() && bench->scope.active() == 0; });
  bench->gateway.destroy();
  fmt::print("{} plain requests in {:.2f} s: {:.0f} a second\n", answered, took,
             static_cast<double>(answered) / took);
  bool passed = bench->served >= answered && bench->violations.found().empty();
  return passed ? 0 : 1;
}

}  // namespace sluice::sim
