// What the simulated world itself costs: a question and its answer on a connection, near and far away, in a
// quiet world and in a moody one. A proxied request is two of them and the gateway between.
#include <benchmark/benchmark.h>

#include <memory>
#include <string>

#include "io/scope.h"
#include "io/sim/sim_world.h"

namespace sluice::io {
namespace {

using namespace std::chrono_literals;

constexpr int kConnections = 16;
constexpr int kQuestions = 100;  // on each, for one iteration

Task<bool> read_bytes(Stream& stream, size_t count) {
  while (count > 0) {
    auto lease = co_await stream.read();
    if (!lease || lease->empty()) co_return false;
    count -= lease->size();
  }
  co_return true;
}

Task<> answer_all(std::unique_ptr<Stream> stream, std::string answer, size_t question_bytes) {
  for (;;) {
    auto read = co_await read_bytes(*stream, question_bytes);
    if (!read) co_return;
    iovec piece{answer.data(), answer.size()};
    auto written = co_await stream->write({&piece, 1});
    if (!written) co_return;
  }
}

Task<> accept_all(Listener& listener, TaskScope& connections, size_t answer_bytes, size_t question_bytes) {
  for (;;) {
    auto stream = co_await listener.accept();
    if (!stream) co_return;
    connections.spawn(answer_all(std::move(*stream), std::string(answer_bytes, 'a'), question_bytes));
  }
}

Task<> ask(Loop& loop, Address to, std::string question, size_t answer_bytes) {
  CancelToken token;
  auto stream = co_await loop.connect(to, token);
  if (!stream) co_return;
  for (int i = 0; i < kQuestions; ++i) {
    iovec piece{question.data(), question.size()};
    auto written = co_await (*stream)->write({&piece, 1});
    if (!written) co_return;
    auto read = co_await read_bytes(**stream, answer_bytes);
    if (!read) co_return;
  }
}

void round_trips(benchmark::State& state, const SimOptions& options) {
  constexpr size_t kQuestionBytes = 100;
  constexpr size_t kAnswerBytes = 1024;
  SimWorld world(options);
  SimLoop& server = world.add_loop();
  SimLoop& client = world.add_loop(SimRole::kPeer);
  auto listener = server.listen(Address::loopback(80), {}).value();
  CancelToken stop;
  listener->bind(stop);
  TaskScope accepting;
  TaskScope connections;
  accepting.spawn(accept_all(*listener, connections, kAnswerBytes, kQuestionBytes));
  for (auto _ : state) {
    TaskScope asking;
    for (int i = 0; i < kConnections; ++i)
      asking.spawn(ask(client, listener->address(), std::string(kQuestionBytes, 'q'), kAnswerBytes));
    world.run();
  }
  stop.cancel(CancelReason::kDrain);
  world.run();
  state.SetItemsProcessed(state.iterations() * kConnections * kQuestions);
}

void sim_round_trip_near(benchmark::State& state) { round_trips(state, {}); }
BENCHMARK(sim_round_trip_near);

void sim_round_trip_far(benchmark::State& state) { round_trips(state, {.latency = 100us}); }
BENCHMARK(sim_round_trip_far);

void sim_round_trip_moody(benchmark::State& state) {
  SimOptions options{.latency = 100us};
  options.faults[FaultKind::kLatency] = {500'000, 20ms, 0};
  options.faults[FaultKind::kJitter] = {300'000, 5ms, 0};
  options.faults[FaultKind::kPartialTransfer] = {300'000, {}, 0};
  options.faults[FaultKind::kFullBuffer] = {300'000, {}, 4096};
  round_trips(state, options);
}
BENCHMARK(sim_round_trip_moody);

}  // namespace
}  // namespace sluice::io
