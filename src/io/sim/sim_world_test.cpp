// Each kind of fault: it strikes when it is asked for and never else, it does what its name says, and the
// same seed repeats it.
#include "io/sim/sim_world.h"

#include <gtest/gtest.h>

#include <map>

#include "io/scope.h"
#include "io/sim/sim_offload.h"
#include "io/sim/sim_resolver.h"
#include "io/sleep.h"
#include "io/stream_fixture.h"

namespace sluice::io {
namespace {

using namespace std::chrono_literals;
using fixture::read_all;
using fixture::Received;
using fixture::write_text;

const Address kServer = Address::loopback(8080);
constexpr size_t kBodyBytes = 40'000;

/// What a client made of one connection that it opened, on which it sent a body and read it back.
struct Echo {
  Result<> connected = fail(ErrorCode::kOther);
  Result<> written = fail(ErrorCode::kOther);
  Received received;
  uint32_t connection = 0;
  Duration took{};
  bool whole(char letter) const { return received.end && received.text == std::string(kBodyBytes, letter); }
};

Task<> send_body(Stream& stream, char letter, Result<>& result) {
  result = co_await write_text(stream, std::string(kBodyBytes, letter));
  stream.shutdown_write();
}

/// A tested loop that echoes what it is sent, and a peer whose clients connect to it every now and then.
class Scenario {
 public:
  explicit Scenario(const SimOptions& options) : world(options) {}

  void run(size_t clients) {
    server_.post([this] { scope_.spawn(serve()); });
    world.run_for(Duration{});
    client_.post([this, clients] { scope_.spawn(connect_all(clients)); });
    world.run_for(1h);
    EXPECT_EQ(scope_.active(), 0u) << "nobody waits for ever";
  }

  SimWorld world;
  std::vector<Echo> echoes;
  std::map<ErrorCode, int> accept_errors;

 private:
  Task<> serve() {
    auto listener = server_.listen(kServer, {}).value();
    listener->bind(stop_);
    TaskScope connections;
    while (!stop_.cancelled()) {
      auto stream = co_await listener->accept();
      if (stream)
        connections.spawn(echo(std::move(*stream)));
      else
        ++accept_errors[stream.error().code];
    }
    co_await connections.join();
  }
  Task<> echo(std::unique_ptr<Stream> stream) {
    CancelToken token;
    Deadline deadline(server_, server_.now() + 5min, token);
    stream->bind(token);
    for (;;) {
      auto lease = co_await stream->read();
      if (!lease) co_return stream->abort();
      if (lease->empty()) co_return;
      iovec piece{const_cast<char*>(lease->bytes().data()), lease->size()};
      auto written = co_await stream->write({&piece, 1});
      if (!written) co_return stream->abort();
    }
  }
  Task<> connect_all(size_t clients) {
    echoes.resize(clients);
    CancelToken never;
    TaskScope scope;
    for (size_t i = 0; i < clients; ++i) {
      scope.spawn(use(echoes[i], static_cast<char>('a' + i % 26)));
      co_await sleep_for(client_, 100ms, never);
    }
    co_await scope.join();
    server_.post([this] { stop_.cancel(CancelReason::kDrain); });
  }
  Task<> use(Echo& echo, char letter) {
    CancelToken token;
    Deadline deadline(client_, client_.now() + 5min, token);
    Instant start = client_.now();
    auto stream = co_await client_.connect(kServer, token);
    if (!stream) {
      echo.connected = std::unexpected(stream.error());
      co_return;
    }
    echo.connected = {};
    echo.connection = SimWorld::connection_number(**stream);
    (*stream)->bind(token);
    TaskScope scope;
    scope.spawn(send_body(**stream, letter, echo.written));
    echo.received = co_await read_all(**stream);
    co_await scope.join();
    echo.took = client_.now() - start;
  }

  SimLoop& server_ = world.add_loop();
  SimLoop& client_ = world.add_loop(SimRole::kPeer);
  CancelToken stop_;
  TaskScope scope_;
};

SimOptions with(FaultKind kind, SimFault fault, uint64_t seed = 1) {
  SimOptions options{.seed = seed};
  options.faults[kind] = fault;
  return options;
}

struct KindCase {
  FaultKind kind;
  SimFault fault;
};
const KindCase kConnectionKinds[] = {
    {FaultKind::kLatency, {1'000'000, 50ms, 0}},      {FaultKind::kJitter, {500'000, 20ms, 0}},
    {FaultKind::kPartialTransfer, {800'000, {}, 0}},  {FaultKind::kFullBuffer, {500'000, {}, 2000}},
    {FaultKind::kReset, {400'000, 100ms, 40'000}},    {FaultKind::kHalfClose, {400'000, {}, 40'000}},
    {FaultKind::kStall, {400'000, 30s, 40'000}},      {FaultKind::kConnectRefused, {300'000, {}, 0}},
    {FaultKind::kConnectTimeout, {300'000, {}, 0}},   {FaultKind::kAcceptFailure, {300'000, {}, 0}},
    {FaultKind::kClockJump, {300'000, 10s, 0}},       {FaultKind::kNoDescriptors, {300'000, 500ms, 0}},
    {FaultKind::kWorkerStarved, {500'000, 500ms, 0}},
};
constexpr size_t kClients = 60;

TEST(SimWorld, WorldWithoutFaultsEchoesEverything) {
  for (Duration latency : {Duration(0), Duration(3ms)}) {
    Scenario scenario({.seed = 5, .latency = latency});
    scenario.run(kClients);
    for (size_t i = 0; i < kClients; ++i)
      EXPECT_TRUE(scenario.echoes[i].whole(static_cast<char>('a' + i % 26))) << i;
    for (size_t i = 0; i < kFaultKinds; ++i)
      EXPECT_EQ(scenario.world.drawn(static_cast<FaultKind>(i)), 0u) << fault_name(static_cast<FaultKind>(i));
    EXPECT_TRUE(scenario.world.fault_log().records().empty());
  }
}

TEST(SimWorld, EachKindStrikesAloneAndHarmsOnlyWhomItStruck) {
  for (const KindCase& each : kConnectionKinds) {
    SCOPED_TRACE(fault_name(each.kind));
    Scenario scenario(with(each.kind, each.fault));
    scenario.run(kClients);
    for (size_t i = 0; i < kFaultKinds; ++i) {
      auto kind = static_cast<FaultKind>(i);
      EXPECT_EQ(scenario.world.drawn(kind) > 0, kind == each.kind) << fault_name(kind);
    }
    bool world_wide = fault_reach(each.kind) == FaultReach::kWorld;
    for (size_t i = 0; i < kClients; ++i) {
      const Echo& echo = scenario.echoes[i];
      if (world_wide || !echo.connected || scenario.world.harmed(echo.connection)) continue;
      EXPECT_TRUE(echo.whole(static_cast<char>('a' + i % 26))) << i;
    }
  }
}

TEST(SimWorld, SameSeedHasTheSameTraceAndAnotherNot) {
  for (const KindCase& each : kConnectionKinds) {
    SCOPED_TRACE(fault_name(each.kind));
    Scenario first(with(each.kind, each.fault, 1));
    Scenario second(with(each.kind, each.fault, 1));
    Scenario other(with(each.kind, each.fault, 2));
    for (Scenario* scenario : {&first, &second, &other}) scenario->run(kClients);
    EXPECT_EQ(first.world.trace().hash(), second.world.trace().hash());
    EXPECT_EQ(first.world.trace().count(), second.world.trace().count());
    EXPECT_NE(first.world.trace().hash(), other.world.trace().hash());
  }
}

TEST(SimWorld, DrawnMixturesEndAndRepeatThemselves) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SimOptions options{.seed = seed, .latency = 100us, .faults = SimFaults::draw(seed)};
    Scenario first(options);
    Scenario second(options);
    first.run(20);
    second.run(20);
    EXPECT_EQ(first.world.trace().hash(), second.world.trace().hash()) << seed;
    for (size_t i = 0; i < 20; ++i) {
      const Echo& echo = first.echoes[i];
      if (!echo.connected || first.world.harmed(echo.connection)) continue;
      if (first.world.fault_log().world_harmed({}, kNever)) continue;
      EXPECT_TRUE(echo.whole(static_cast<char>('a' + i))) << seed << ' ' << i;
    }
  }
}

/// The echoes of a world in which every connection draws `kind`.
std::vector<Echo> echoes_under(FaultKind kind, SimFault fault, size_t clients = kClients) {
  fault.per_million = 1'000'000;
  Scenario scenario(with(kind, fault));
  scenario.run(clients);
  for (const Echo& echo : scenario.echoes) {
    FaultSet faults = scenario.world.faults_of(echo.connection);
    if (echo.connected && !echo.whole(echo.received.text.empty() ? 'a' : echo.received.text[0])) {
      EXPECT_TRUE(faults.has(kind));
      EXPECT_TRUE(scenario.world.harmed(echo.connection));
    }
  }
  return scenario.echoes;
}

TEST(SimFault, LatencyTakesTimeAndNothingElse) {
  auto echoes = echoes_under(FaultKind::kLatency, {.up_to = 50ms});
  Duration longest{};
  for (const Echo& echo : echoes) longest = std::max(longest, echo.took);
  EXPECT_GT(longest, 100ms) << "there and back, to connect and to echo";
  for (size_t i = 0; i < echoes.size(); ++i) EXPECT_TRUE(echoes[i].whole(static_cast<char>('a' + i % 26)));
}

TEST(SimFault, ResetStrikesAtAnyByteAndIsNeverAnEnd) {
  size_t cut = 0;
  for (const Echo& echo : echoes_under(FaultKind::kReset, {.bytes = 2 * kBodyBytes})) {
    cut += !echo.received.end;
    if (echo.received.end) EXPECT_EQ(echo.received.text.size(), kBodyBytes);
  }
  EXPECT_GT(cut, 30u);
}

TEST(SimFault, ResetStrikesIdleConnectionsToo) {
  SimWorld world(with(FaultKind::kReset, {1'000'000, 10s, 0}));
  SimLoop& loop = world.add_loop();
  auto listener = loop.listen(kServer, {}).value();
  int broken = 0;
  for (int i = 0; i < 20; ++i) {
    CancelToken token;
    TaskScope scope;
    std::optional<Result<std::unique_ptr<Stream>>> client;
    std::optional<Result<std::unique_ptr<Stream>>> server;
    scope.spawn(fixture::store(loop.connect(kServer, token), client));
    auto accept = [](Listener& from) -> Task<Result<std::unique_ptr<Stream>>> {
      auto stream = co_await from.accept();
      co_return stream;
    };
    scope.spawn(fixture::store(accept(*listener), server));
    world.run_for(11s);
    broken += (**client)->dirty();
  }
  EXPECT_GT(broken, 3);
}

Task<> say_and_listen(std::unique_ptr<Stream> stream) {
  co_await write_text(*stream, "x");
  co_await read_all(*stream);
}
Task<> connect_and_listen(SimLoop& loop) {
  CancelToken never;
  auto stream = co_await loop.connect(kServer, never);
  if (!stream) co_return;
  co_await say_and_listen(std::move(*stream));
}
Task<> accept_and_listen(Listener& listener, TaskScope& connections) {
  for (;;) {
    auto stream = co_await listener.accept();
    if (!stream) co_return;
    connections.spawn(say_and_listen(std::move(*stream)));
  }
}
TEST(SimFault, ResetBeforeAConnectionStandsLeavesNobodyWaiting) {
  SimOptions options = with(FaultKind::kReset, {1'000'000, 40ms, 0});
  options.latency = 10ms;
  SimWorld world(options);
  SimLoop& loop = world.add_loop();
  auto listener = loop.listen(kServer, {}).value();
  CancelToken stop;
  listener->bind(stop);
  TaskScope accepting;
  TaskScope connections;
  accepting.spawn(accept_and_listen(*listener, connections));
  for (int i = 0; i < 100; ++i) connections.spawn(connect_and_listen(loop));
  world.run();
  EXPECT_EQ(connections.active(), 0u);
  stop.cancel(CancelReason::kDrain);
  world.run();
}

TEST(SimFault, HalfCloseCutsOneDirectionShort) {
  size_t short_ones = 0;
  for (const Echo& echo : echoes_under(FaultKind::kHalfClose, {.bytes = 2 * kBodyBytes}))
    short_ones += echo.received.text.size() < kBodyBytes;
  EXPECT_GT(short_ones, 20u);
}

TEST(SimFault, StallHoldsBytesUpAndLosesNone) {
  auto echoes = echoes_under(FaultKind::kStall, {.up_to = 60s, .bytes = kBodyBytes});
  size_t late = 0;
  for (size_t i = 0; i < echoes.size(); ++i) {
    EXPECT_TRUE(echoes[i].whole(static_cast<char>('a' + i % 26)));
    late += echoes[i].took > 1s;
  }
  EXPECT_GT(late, 40u);
}

TEST(SimFault, ConnectIsRefused) {
  for (const Echo& echo : echoes_under(FaultKind::kConnectRefused, {}, 10))
    EXPECT_EQ(echo.connected.error().code, ErrorCode::kRefused);
}

TEST(SimFault, ConnectWaitsUntilItIsCancelled) {
  for (const Echo& echo : echoes_under(FaultKind::kConnectTimeout, {}, 10))
    EXPECT_EQ(echo.connected.error().code, ErrorCode::kCancelled);
}

TEST(SimFault, FailedConnectsAreInTheLogByAddress) {
  Scenario scenario(with(FaultKind::kConnectRefused, {1'000'000, {}, 0}));
  scenario.run(1);
  const FaultLog& log = scenario.world.fault_log();
  EXPECT_TRUE(log.connection_harmed(kServer, {}, kNever));
  EXPECT_FALSE(log.connection_harmed(Address::loopback(1), {}, kNever));
}

TEST(SimFault, AcceptFailsInEachWay) {
  Scenario scenario(with(FaultKind::kAcceptFailure, {1'000'000, {}, 0}));
  scenario.run(kClients);
  size_t answered = 0;
  size_t cut = 0;
  for (const Echo& echo : scenario.echoes) {
    answered += echo.received.text.size() == kBodyBytes;
    cut += echo.received.text.size() < kBodyBytes;
  }
  EXPECT_GT(answered, 5u) << "some errors leave the connection to the next accept";
  EXPECT_GT(cut, 20u);
  EXPECT_GT(scenario.accept_errors[ErrorCode::kNoDescriptors], 5);
  EXPECT_GT(scenario.accept_errors[ErrorCode::kOther], 5);
}

TEST(SimFault, DescriptorsRunOutForAWhile) {
  Scenario scenario(with(FaultKind::kNoDescriptors, {1'000'000, 2s, 0}));
  scenario.run(kClients);
  EXPECT_GT(scenario.accept_errors[ErrorCode::kNoDescriptors], 0);
  EXPECT_LT(scenario.accept_errors[ErrorCode::kNoDescriptors], 60);
  EXPECT_TRUE(scenario.world.fault_log().world_harmed({}, kNever));
}

Task<> sleep_until_done(Loop& loop, Duration duration, std::vector<Instant>& woke) {
  CancelToken never;
  co_await sleep_for(loop, duration, never);
  woke.push_back(loop.now());
}

TEST(SimFault, ClockJumpsForwardOnly) {
  SimWorld world(with(FaultKind::kClockJump, {1'000'000, 60s, 0}));
  SimLoop& loop = world.add_loop();
  Instant start = world.now();
  std::vector<Instant> woke;
  TaskScope scope;
  for (Duration wait : {10s, 20s, 30s}) scope.spawn(sleep_until_done(loop, wait, woke));
  world.run();
  EXPECT_EQ(woke.size(), 3u);
  EXPECT_GT(world.drawn(FaultKind::kClockJump), 0u);
  EXPECT_GT(world.now(), start + 30s + 1ms);
}

TEST(SimFault, StarvedWorkerRunsLateAndItsPeersDoNot) {
  SimWorld world(with(FaultKind::kWorkerStarved, {1'000'000, 5s, 0}));
  SimLoop& tested = world.add_loop();
  SimLoop& peer = world.add_loop(SimRole::kPeer);
  Instant start = world.now();
  std::vector<Instant> late;
  std::vector<Instant> punctual;
  TaskScope scope;
  for (int i = 1; i <= 100; ++i) {
    scope.spawn(sleep_until_done(tested, i * 100ms, late));
    scope.spawn(sleep_until_done(peer, i * 100ms, punctual));
  }
  world.run();
  Duration worst{};
  for (int i = 1; i <= 100; ++i) {
    auto at = static_cast<size_t>(i - 1);
    worst = std::max(worst, late[at] - (start + i * 100ms));
    EXPECT_LE(punctual[at], start + i * 100ms + TimerWheel::kTick);
  }
  EXPECT_GT(worst, 500ms);
}

struct Answer {
  Result<Resolution> resolution = fail(ErrorCode::kOther);
  Duration took{};
};
Task<> ask(SimLoop& loop, std::string name, CancelToken& token, Answer& answer) {
  SimResolver resolver(loop);
  Instant start = loop.now();
  answer.resolution = co_await resolver.resolve(std::move(name), token);
  answer.took = loop.now() - start;
}
Answer ask_under(const SimOptions& options, const std::string& name, bool cancel = false) {
  SimWorld world(options);
  SimLoop& loop = world.add_loop();
  world.set_name("users.test", {Address::loopback(0)}, 30s);
  Answer answer;
  CancelToken token;
  TaskScope scope;
  scope.spawn(ask(loop, name, token, answer));
  if (cancel) token.cancel(CancelReason::kDeadline);
  world.run();
  return answer;
}

TEST(SimResolver, AnswersFromTheWorldsTable) {
  Answer known = ask_under({}, "users.test");
  ASSERT_TRUE(known.resolution);
  EXPECT_EQ(known.resolution->addresses, std::vector{Address::loopback(0)});
  EXPECT_EQ(known.resolution->ttl, 30s);
  EXPECT_EQ(ask_under({}, "nobody.test").resolution.error().code, ErrorCode::kUnresolved);
}

Task<> ask_service(SimLoop& loop, std::string name, Result<ServiceRecords>& answer) {
  SimResolver resolver(loop);
  CancelToken token;
  answer = co_await resolver.resolve_service(std::move(name), token);
}

TEST(SimResolver, KnowsServices) {
  SimWorld world({});
  SimLoop& loop = world.add_loop();
  std::vector<ServiceRecord> records{{.priority = 1, .host = "a.test", .port = 80, .weight = 2}};
  world.set_service("_users._tcp.test", records, 30s);
  Result<ServiceRecords> known = fail(ErrorCode::kOther);
  Result<ServiceRecords> unknown = fail(ErrorCode::kOther);
  TaskScope scope;
  scope.spawn(ask_service(loop, "_users._tcp.test", known));
  scope.spawn(ask_service(loop, "_other._tcp.test", unknown));
  world.run();
  ASSERT_TRUE(known);
  EXPECT_EQ(known->records, records);
  EXPECT_EQ(unknown.error().code, ErrorCode::kUnresolved);
}

TEST(SimResolver, IsSlowOrFailsWhenDrawnAndCanBeCancelled) {
  SimOptions slow = with(FaultKind::kDnsSlow, {1'000'000, 10s, 0});
  Answer late = ask_under(slow, "users.test");
  EXPECT_TRUE(late.resolution);
  EXPECT_GT(late.took, 100ms);
  EXPECT_EQ(ask_under(slow, "users.test", true).resolution.error().code, ErrorCode::kCancelled);
  SimOptions failing = with(FaultKind::kDnsFailure, {1'000'000, {}, 0});
  EXPECT_FALSE(ask_under(failing, "users.test").resolution);
}

Task<> offload_one(SimOffload& offload, SimLoop& loop, std::vector<Result<int>>& results) {
  auto work = [] { return 42; };
  auto result = co_await offload.run(loop, work);
  results.push_back(result);
}

TEST(SimOffload, WorkTakesItsTimeAndNoMoreIsTakenThanThereIsRoomFor) {
  for (bool slow : {false, true}) {
    SimWorld world(with(FaultKind::kOffloadSlow, {slow ? 1'000'000U : 0U, 10s, 0}));
    SimLoop& loop = world.add_loop();
    SimOffload offload(world, 2);
    Instant start = world.now();
    std::vector<Result<int>> results;
    TaskScope scope;
    for (int i = 0; i < 3; ++i) scope.spawn(offload_one(offload, loop, results));
    world.run();
    ASSERT_EQ(results.size(), 3u);
    size_t done = 0;
    for (const auto& result : results) done += result && *result == 42;
    EXPECT_EQ(done, slow ? 2u : 3u);
    EXPECT_EQ(world.now() > start + 10ms, slow);
    EXPECT_EQ(world.drawn(FaultKind::kOffloadSlow), slow ? 2u : 0u);
  }
}

TEST(SimTrace, TextIsKeptOnRequestAndNamesWhatHappened) {
  SimOptions options = with(FaultKind::kLatency, {1'000'000, 5ms, 0});
  Scenario without(options);
  without.run(1);
  EXPECT_EQ(without.world.trace().text(), "");
  options.keep_trace = true;
  Scenario kept(options);
  kept.run(1);
  EXPECT_EQ(kept.world.trace().hash(), without.world.trace().hash());
  std::string text = kept.world.trace().text();
  for (std::string_view part : {"connection 1 connect 8080\n", "connection 1 fault latency\n", "accept",
                                "write 40000\n", "arrive", "read", "end", "close"})
    EXPECT_NE(text.find(part), std::string::npos) << part << '\n' << text;
}

}  // namespace
}  // namespace sluice::io
