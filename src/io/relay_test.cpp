// What a relay keeps between two connections (io/relay.h), on every back-end.
#include "io/relay.h"

#include <gtest/gtest.h>

#include "io/stream_fixture.h"

namespace sluice::io {
namespace {

using namespace std::chrono_literals;
using fixture::connect_pair;
using fixture::Pair;
using fixture::read_all;
using fixture::read_some;
using fixture::settle;
using fixture::wait_until;
using fixture::write_text;
using End = RelayResult::End;

template <class Backend>
class RelayTest : public ::testing::Test {
 protected:
  Backend backend_;
  Loop& loop_ = backend_.loop;
};
using Backends = testing::Types<fixture::EpollBackend, fixture::UringBackend, fixture::SimBackend>;
TYPED_TEST_SUITE(RelayTest, Backends);

std::string pattern(size_t size) {
  std::string bytes(size, 0);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 31 + i / 257);
  return bytes;
}

/// Two connections with a relay between them: `client` and `server` are the far ends.
struct Relayed {
  Pair front;  // .client is the client's end, .server the relay's
  Pair back;   // .client is the relay's end, .server the server's
  CancelToken token;
  TaskScope scope;
  std::optional<RelayResult> result;

  Stream& client() { return *front.client; }
  Stream& server() { return *back.server; }
};

Task<> run_relay(Loop& loop, Relayed& relayed, RelayOptions options) {
  relayed.result = co_await relay(loop, *relayed.front.server, *relayed.back.client, relayed.token, options);
}

Task<> begin(Loop& loop, Relayed& relayed, RelayOptions options) {
  relayed.front = co_await connect_pair(loop);
  relayed.back = co_await connect_pair(loop);
  relayed.scope.spawn(run_relay(loop, relayed, options));
}

Task<std::string> read_to_end(Stream& stream) {
  auto received = co_await read_all(stream);
  EXPECT_TRUE(received.end);
  co_return std::move(received.text);
}

Task<bool> both_ways(Loop& loop) {
  Relayed relayed;
  co_await begin(loop, relayed, {});
  co_await write_text(relayed.client(), "question");
  auto question = co_await read_some(relayed.server(), 8);
  EXPECT_EQ(question, "question");
  co_await write_text(relayed.server(), "the answer");
  auto answer = co_await read_some(relayed.client(), 10);
  EXPECT_EQ(answer, "the answer");
  // The client has nothing more to say; the server still has.
  relayed.client().shutdown_write();
  auto rest = co_await read_to_end(relayed.server());
  EXPECT_EQ(rest, "");
  EXPECT_FALSE(relayed.result);
  co_await write_text(relayed.server(), "more");
  relayed.server().shutdown_write();
  auto more = co_await read_to_end(relayed.client());
  EXPECT_EQ(more, "more");
  co_await relayed.scope.join();
  EXPECT_EQ(relayed.result->end, End::kComplete);
  EXPECT_EQ(relayed.result->from_client, 8u);
  EXPECT_EQ(relayed.result->from_server, 14u);
  EXPECT_TRUE(relayed.result->client_ended && relayed.result->server_ended);
  co_return true;
}
TYPED_TEST(RelayTest, BytesAndEndsPassBothWays) { EXPECT_TRUE(this->backend_.await(both_ways(this->loop_))); }

Task<> write_then_end(Stream& stream, std::string bytes) {
  co_await write_text(stream, std::move(bytes));
  stream.shutdown_write();
}

Task<bool> large_both_ways(Loop& loop) {
  Relayed relayed;
  co_await begin(loop, relayed, {});
  std::string up = pattern(5 << 20);
  std::string down = pattern(7 << 20);
  TaskScope writers;
  writers.spawn(write_then_end(relayed.client(), up));
  writers.spawn(write_then_end(relayed.server(), down));
  auto at_server = co_await read_to_end(relayed.server());
  auto at_client = co_await read_to_end(relayed.client());
  EXPECT_TRUE(at_server == up);
  EXPECT_TRUE(at_client == down);
  co_await writers.join();
  co_await relayed.scope.join();
  EXPECT_EQ(relayed.result->end, End::kComplete);
  co_return true;
}
TYPED_TEST(RelayTest, OneDirectionThatStandsStillDoesNotHoldUpTheOther) {
  EXPECT_TRUE(this->backend_.await(large_both_ways(this->loop_)));
}

struct Writing {
  bool done = false;
};
Task<> write_and_tell(Stream& stream, std::string bytes, Writing& writing) {
  auto written = co_await write_text(stream, std::move(bytes));
  writing.done = written.has_value();
}

Task<bool> reader_stands_still(Loop& loop) {
  Relayed relayed;
  co_await begin(loop, relayed, {});
  constexpr size_t kMoreThanAllBuffers = 64 << 20;
  Writing writing;
  TaskScope writers;
  writers.spawn(write_and_tell(relayed.client(), std::string(kMoreThanAllBuffers, 'x'), writing));
  co_await settle(loop);
  EXPECT_FALSE(writing.done);
  EXPECT_LT(relayed.front.server->bytes_read(), kMoreThanAllBuffers);
  auto text = co_await read_some(relayed.server(), kMoreThanAllBuffers);
  EXPECT_EQ(text.size(), kMoreThanAllBuffers);
  co_await writers.join();
  EXPECT_TRUE(writing.done);
  relayed.token.cancel(CancelReason::kDrain);
  co_await relayed.scope.join();
  co_return true;
}
TYPED_TEST(RelayTest, WhoDoesNotReadStopsWhoWrites) {
  EXPECT_TRUE(this->backend_.await(reader_stands_still(this->loop_)));
}

Task<bool> server_resets(Loop& loop) {
  Relayed relayed;
  co_await begin(loop, relayed, {});
  co_await write_text(relayed.server(), "half of an ans");
  auto got = co_await read_some(relayed.client(), 14);
  EXPECT_EQ(got, "half of an ans");
  relayed.server().abort();
  relayed.back.server.reset();
  co_await relayed.scope.join();
  EXPECT_EQ(relayed.result->end, End::kServerFailed);
  EXPECT_EQ(relayed.result->error.code, ErrorCode::kReset);
  EXPECT_FALSE(relayed.result->server_ended);
  co_return true;
}
TYPED_TEST(RelayTest, AResetOfTheServerEndsIt) {
  EXPECT_TRUE(this->backend_.await(server_resets(this->loop_)));
}

Task<bool> client_leaves_after_its_end(Loop& loop) {
  Relayed relayed;
  co_await begin(loop, relayed, {});
  relayed.client().shutdown_write();
  auto nothing = co_await read_to_end(relayed.server());
  EXPECT_EQ(nothing, "");
  relayed.client().abort();
  relayed.front.client.reset();
  co_await relayed.scope.join();
  EXPECT_EQ(relayed.result->end, End::kClientFailed);
  EXPECT_TRUE(relayed.result->client_ended);
  co_return true;
}
TYPED_TEST(RelayTest, AResetAfterTheEndIsNoticedWhileNothingIsSent) {
  EXPECT_TRUE(this->backend_.await(client_leaves_after_its_end(this->loop_)));
}

Task<bool> server_answers_and_closes(Loop& loop) {
  Relayed relayed;
  co_await begin(loop, relayed, {});
  co_await write_text(relayed.client(), "question");
  co_await read_some(relayed.server(), 8);
  std::string answer = pattern(100'000);
  co_await write_text(relayed.server(), answer);
  relayed.back.server.reset();  // all it got was read: an end, and a reset for whatever still comes
  Writing writing;
  TaskScope writers;
  writers.spawn(write_and_tell(relayed.client(), "still talking", writing));
  auto received = co_await read_some(relayed.client(), answer.size());
  EXPECT_TRUE(received == answer);
  co_await writers.join();
  relayed.client().shutdown_write();
  co_await relayed.scope.join();
  EXPECT_TRUE(relayed.result->server_ended);
  co_return true;
}
TYPED_TEST(RelayTest, WhatASideSentBeforeItLeftArrives) {
  EXPECT_TRUE(this->backend_.await(server_answers_and_closes(this->loop_)));
}

struct StopAt final : RelayTap {
  size_t left;
  explicit StopAt(size_t bytes) : left(bytes) {}
  size_t pass(std::string_view bytes) override {
    size_t passing = std::min(bytes.size(), left);
    left -= passing;
    return passing;
  }
};

Task<bool> tap_stops(Loop& loop) {
  Relayed relayed;
  StopAt tap(5);
  co_await begin(loop, relayed, {.from_client = &tap});
  co_await write_text(relayed.client(), "hello world");
  auto got = co_await read_some(relayed.server(), 5);
  EXPECT_EQ(got, "hello");
  co_await relayed.scope.join();
  EXPECT_EQ(relayed.result->end, End::kStopped);
  EXPECT_EQ(relayed.result->from_client, 5u);
  // Both connections stand: the caller may still say goodbye on them.
  co_await write_text(*relayed.back.client, "!");
  auto goodbye = co_await read_some(relayed.server(), 1);
  EXPECT_EQ(goodbye, "!");
  co_return true;
}
TYPED_TEST(RelayTest, ATapEndsItAtAByte) { EXPECT_TRUE(this->backend_.await(tap_stops(this->loop_))); }

Task<bool> cancelled(Loop& loop) {
  Relayed relayed;
  co_await begin(loop, relayed, {});
  relayed.token.cancel(CancelReason::kDrain);
  co_await relayed.scope.join();
  EXPECT_EQ(relayed.result->end, End::kCancelled);
  co_return true;
}
TYPED_TEST(RelayTest, TheCallersTokenEndsIt) { EXPECT_TRUE(this->backend_.await(cancelled(this->loop_))); }

Task<bool> idles(Loop& loop) {
  Relayed relayed;
  co_await begin(loop, relayed, {.idle = 10s});
  CancelToken never;
  for (int i = 0; i < 8; ++i) {  // a byte now and then, in one direction alone, keeps it
    auto slept = co_await sleep_for(loop, 6s, never);
    std::ignore = slept;
    co_await write_text(relayed.server(), ".");
  }
  EXPECT_FALSE(relayed.result);
  Instant last = loop.now();
  co_await relayed.scope.join();
  EXPECT_EQ(relayed.result->end, End::kIdle);
  EXPECT_GE(loop.now() - last, 10s);
  EXPECT_LE(loop.now() - last, 15s + TimerWheel::kTick);
  co_return true;
}
TEST(RelayIdleTest, OnlySilenceInBothDirectionsEndsIt) {
  fixture::SimBackend backend;
  EXPECT_TRUE(backend.await(idles(backend.loop)));
}

// --- under faults

struct Side {
  std::string sent;
  std::string received;
  bool ended = false;  // the other side's end has come
};

Task<> write_in_pieces(Stream& stream, const std::string& text, uint64_t seed) {
  Random random(seed);
  for (std::string_view rest = text; !rest.empty();) {
    size_t size = std::min<size_t>(rest.size(), 1 + random.below(40'000));
    iovec piece{const_cast<char*>(rest.data()), size};
    auto written = co_await stream.write({&piece, 1});
    if (!written) co_return;
    rest.remove_prefix(size);
  }
  stream.shutdown_write();
}

Task<> read_side(Stream& stream, Side& side) {
  auto received = co_await read_all(stream);
  side.received = std::move(received.text);
  side.ended = received.end.has_value();
}

Task<bool> talk(SimWorld& world, Loop& loop, uint64_t seed) {
  Relayed relayed;
  co_await begin(loop, relayed, {.idle = 1h});
  CancelToken patience;
  Deadline deadline(loop, loop.now() + 10min, patience);
  relayed.client().bind(patience);
  relayed.server().bind(patience);
  Random random(seed);
  Side client{.sent = pattern(random.below(300'000)), .received = {}};
  Side server{.sent = pattern(random.below(300'000)), .received = {}};
  TaskScope scope;
  scope.spawn(write_in_pieces(relayed.client(), client.sent, seed + 1));
  scope.spawn(write_in_pieces(relayed.server(), server.sent, seed + 2));
  scope.spawn(read_side(relayed.client(), client));
  scope.spawn(read_side(relayed.server(), server));
  co_await scope.join();
  // Whoever still waits is told that both have gone.
  uint32_t front = SimWorld::connection_number(relayed.client());
  uint32_t back = SimWorld::connection_number(relayed.server());
  relayed.front.client.reset();
  relayed.back.server.reset();
  co_await relayed.scope.join();
  bool harmed = world.harmed(front) || world.harmed(back);
  EXPECT_TRUE(client.sent.starts_with(server.received)) << seed;
  EXPECT_TRUE(server.sent.starts_with(client.received)) << seed;
  if (!harmed) {
    EXPECT_EQ(relayed.result->end, End::kComplete) << seed;
    EXPECT_TRUE(server.received == client.sent && client.received == server.sent) << seed;
    EXPECT_TRUE(server.ended && client.ended) << seed;
  }
  co_return harmed;
}

TEST(RelayFaultTest, WhatArrivesIsABeginningOfWhatWasSentAndAllOfItWithoutHarm) {
  int harmed = 0;
  constexpr int kSeeds = 200;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SimOptions options{.seed = seed, .split_transfers = seed % 2 == 0, .faults = SimFaults::draw(seed)};
    for (FaultKind kind : {FaultKind::kConnectRefused, FaultKind::kConnectTimeout, FaultKind::kAcceptFailure,
                           FaultKind::kNoDescriptors, FaultKind::kClockJump})
      options.faults[kind] = {};
    for (FaultKind kind : {FaultKind::kReset, FaultKind::kHalfClose})
      options.faults[kind] = {.per_million = 100'000, .up_to = 0s, .bytes = 200'000};
    fixture::SimBackend backend(options);
    harmed += backend.await(talk(backend.world, backend.loop, seed)) ? 1 : 0;
  }
  EXPECT_GT(harmed, 10);
  EXPECT_LT(harmed, kSeeds - 10);
}

}  // namespace
}  // namespace sluice::io
