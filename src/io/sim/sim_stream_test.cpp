// What is the simulator's own; io/stream_test.cpp holds it to the contract of all back-ends.
#include "io/sim/sim_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "io/scope.h"
#include "io/sim/sim_world.h"
#include "io/sleep.h"

namespace sluice::io {
namespace {

using namespace std::chrono_literals;

const Address kServer = Address::loopback(8080);

iovec piece_of(std::string_view text) { return {const_cast<char*>(text.data()), text.size()}; }

Task<> accept_one(Listener& listener, std::unique_ptr<Stream>& stream) {
  auto accepted = co_await listener.accept();
  if (accepted) stream = std::move(*accepted);
}

Task<> connect_one(Loop& loop, Address to, CancelToken& token, Result<std::unique_ptr<Stream>>& stream) {
  stream = co_await loop.connect(to, token);
}

Task<> write_text(Stream& stream, std::string_view text, Result<>& result) {
  iovec piece = piece_of(text);
  result = co_await stream.write({&piece, 1});
}

Task<> read_to_end(Stream& stream, std::string& text, Result<>& result) {
  for (;;) {
    auto lease = co_await stream.read();
    if (!lease) {
      result = std::unexpected(lease.error());
      co_return;
    }
    if (lease->empty()) break;
    text.append(lease->bytes());
  }
  result = {};
}

/// Two loops with a connection between them.
class SimStreamTest : public ::testing::Test {
 protected:
  explicit SimStreamTest(SimOptions options = {.seed = 7, .pipe_bytes = 1000}) : world_(options) {
    EXPECT_TRUE(listener_);
    CancelToken token;
    Result<std::unique_ptr<Stream>> connected;
    scope_.spawn(accept_one(**listener_, server_));
    scope_.spawn(connect_one(client_loop_, kServer, token, connected));
    world_.run();
    EXPECT_TRUE(connected && *connected && server_);
    client_ = std::move(*connected);
  }
  ~SimStreamTest() override {
    world_.run();
    EXPECT_EQ(scope_.active(), 0u);
  }

  SimWorld world_;
  SimLoop& server_loop_ = world_.add_loop();
  SimLoop& client_loop_ = world_.add_loop();
  Result<std::unique_ptr<Listener>> listener_ = server_loop_.listen(kServer, {});
  TaskScope scope_;
  std::unique_ptr<Stream> server_;
  std::unique_ptr<Stream> client_;
};

class SplitSimStreamTest : public SimStreamTest {
 protected:
  SplitSimStreamTest() : SimStreamTest({.seed = 11, .pipe_bytes = 1000, .split_transfers = true}) {}
};

TEST(SimNetwork, SwallowedAddressWaitsUntilCancelled) {
  SimWorld world;
  SimLoop& loop = world.add_loop();
  world.swallow(kServer);
  CancelToken token;
  TaskScope scope;
  Result<std::unique_ptr<Stream>> stream;
  scope.spawn(connect_one(loop, kServer, token, stream));
  world.run_for(1h);
  EXPECT_EQ(scope.active(), 1u);
  token.cancel(CancelReason::kDeadline);
  world.run();
  EXPECT_EQ(scope.active(), 0u);
  ASSERT_FALSE(stream);
  EXPECT_EQ(stream.error().code, ErrorCode::kCancelled);
}

TEST_F(SimStreamTest, WriterWaitsForReader) {
  std::string big(5000, 'x');
  Result<> wrote = fail(ErrorCode::kOther), read = fail(ErrorCode::kOther);
  scope_.spawn(write_text(*client_, big, wrote));
  world_.run();
  EXPECT_FALSE(wrote);
  EXPECT_EQ(client_->bytes_written(), 1000u);
  std::string text;
  scope_.spawn(read_to_end(*server_, text, read));
  world_.run();
  EXPECT_TRUE(wrote);
  client_->shutdown_write();
  world_.run();
  EXPECT_TRUE(read);
  EXPECT_EQ(text, big);
}

TEST_F(SplitSimStreamTest, SplitTransfersLoseNothing) {
  std::string big;
  for (int i = 0; i < 2000; ++i) big += std::to_string(i);
  Result<> wrote = fail(ErrorCode::kOther), read = fail(ErrorCode::kOther);
  std::string text;
  scope_.spawn(read_to_end(*server_, text, read));
  scope_.spawn(write_text(*client_, big, wrote));
  world_.run();
  EXPECT_TRUE(wrote);
  client_->shutdown_write();
  world_.run();
  EXPECT_TRUE(read);
  EXPECT_EQ(text, big);
}

class Waits final : public Loop::Observer {
 public:
  std::string seen;

 private:
  void before_wait() override { seen += '('; }
  void after_wait() override { seen += ')'; }
  void between_turns() override { seen += '.'; }
};

Task<> yield_and_sleep(Loop& loop, CancelToken& token, Instant& woke) {
  co_await loop.yield();
  co_await sleep_for(loop, 5s, token);
  woke = loop.now();
}

TEST(SimLoop, ObserverSeesTurnsAndWaits) {
  SimWorld world;
  SimLoop& loop = world.add_loop();
  Waits waits;
  loop.observe(&waits);
  TaskScope scope;
  CancelToken token;
  Instant woke;
  Instant start = world.now();
  loop.post([&] { scope.spawn(yield_and_sleep(loop, token, woke)); });
  world.run();
  EXPECT_EQ(scope.active(), 0u);
  // The sleep sits in a coarse slot of the wheel, so the loop may wake in between to look; the last wait is
  // for ever.
  EXPECT_THAT(waits.seen, testing::MatchesRegex("([(][)])*[(]"));
  EXPECT_GE(woke, start + 5s);
  EXPECT_LE(woke, start + 5s + TimerWheel::kTick);
}

TEST(SimWorld, TimeJumpsOnlyAsFarAsAsked) {
  SimWorld world;
  SimLoop& loop = world.add_loop();
  TaskScope scope;
  CancelToken token;
  Instant woke{};
  Instant start = world.now();
  loop.post([&] { scope.spawn(yield_and_sleep(loop, token, woke)); });
  world.run_for(4s);
  EXPECT_EQ(world.now(), start + 4s);
  EXPECT_EQ(scope.active(), 1u);
  EXPECT_FALSE(world.run_until([&] { return scope.active() == 0; }, 500ms));
  EXPECT_TRUE(world.run_until([&] { return scope.active() == 0; }));
  EXPECT_GE(woke, start + 5s);
}

}  // namespace
}  // namespace sluice::io
