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

Task<> wait_readable(Stream& stream, Result<>& result) { result = co_await stream.readable(); }

/// Two loops with a connection between them.
class SimStreamTest : public testing::Test {
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

TEST(SimNetwork, NobodyListeningRefuses) {
  SimWorld world;
  SimLoop& loop = world.add_loop();
  CancelToken token;
  TaskScope scope;
  Result<std::unique_ptr<Stream>> stream;
  scope.spawn(connect_one(loop, kServer, token, stream));
  world.run();
  EXPECT_EQ(scope.active(), 0u);
  ASSERT_FALSE(stream);
  EXPECT_EQ(stream.error().code, ErrorCode::kRefused);
}

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

TEST(SimNetwork, AddressIsTakenUnlessShared) {
  SimWorld world;
  SimLoop& loop = world.add_loop();
  {
    auto first = loop.listen(kServer, {});
    auto second = loop.listen(kServer, {.reuse_port = true});
    ASSERT_TRUE(first);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, ErrorCode::kAddressInUse);
  }
  auto first = loop.listen(kServer, {.reuse_port = true});
  auto second = loop.listen(kServer, {.reuse_port = true});
  EXPECT_TRUE(first && second);
}

TEST(SimNetwork, CancelledAcceptEnds) {
  SimWorld world;
  SimLoop& loop = world.add_loop();
  auto listener = loop.listen(Address::loopback(0), {});
  ASSERT_TRUE(listener);
  EXPECT_NE((*listener)->address().port, 0);
  CancelToken token;
  (*listener)->bind(token);
  TaskScope scope;
  std::unique_ptr<Stream> stream;
  scope.spawn(accept_one(**listener, stream));
  token.cancel(CancelReason::kDrain);
  EXPECT_EQ(scope.active(), 1u) << "a cancel resumes nobody inline";
  world.run();
  EXPECT_EQ(scope.active(), 0u);
  EXPECT_FALSE(stream);
}

TEST_F(SimStreamTest, BytesAndEndArriveInOrder) {
  std::string text;
  Result<> wrote = fail(ErrorCode::kOther), read = fail(ErrorCode::kOther);
  scope_.spawn(write_text(*client_, "hello", wrote));
  client_->shutdown_write();
  scope_.spawn(read_to_end(*server_, text, read));
  world_.run();
  EXPECT_TRUE(wrote && read);
  EXPECT_EQ(text, "hello");
  EXPECT_EQ(client_->bytes_written(), 5u);
  EXPECT_EQ(server_->bytes_read(), 5u);
}

TEST_F(SimStreamTest, OneDirectionEndsAlone) {
  client_->shutdown_write();
  std::string text;
  Result<> wrote = fail(ErrorCode::kOther), read = fail(ErrorCode::kOther);
  scope_.spawn(write_text(*server_, "answer", wrote));
  server_->shutdown_write();
  scope_.spawn(read_to_end(*client_, text, read));
  world_.run();
  EXPECT_TRUE(wrote && read);
  EXPECT_EQ(text, "answer");
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

TEST_F(SimStreamTest, AbortedStreamResetsItsPeer) {
  std::string text;
  Result<> wrote, read;
  scope_.spawn(read_to_end(*server_, text, read));
  world_.run();
  client_->abort();
  client_.reset();
  world_.run();
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::kReset);
  scope_.spawn(write_text(*server_, "late", wrote));
  ASSERT_FALSE(wrote);
  EXPECT_EQ(wrote.error().code, ErrorCode::kReset);
}

// RFC 9112, section 9.6: a server that closes with unread bytes makes its TCP send a reset.
TEST_F(SimStreamTest, ClosingWithUnreadBytesResets) {
  std::string text;
  Result<> wrote, read;
  scope_.spawn(write_text(*client_, "unread", wrote));
  server_.reset();
  scope_.spawn(read_to_end(*client_, text, read));
  world_.run();
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::kReset);
}

TEST_F(SimStreamTest, WritingToClosedPeerResets) {
  server_.reset();
  Result<> first, second;
  scope_.spawn(write_text(*client_, "a", first));
  scope_.spawn(write_text(*client_, "b", second));
  world_.run();
  EXPECT_TRUE(first) << "TCP takes what it cannot deliver";
  EXPECT_FALSE(second);
}

TEST_F(SimStreamTest, CancelEndsReaderAndWriter) {
  CancelToken token;
  client_->bind(token);
  std::string big(5000, 'x');
  std::string text;
  Result<> wrote, read;
  scope_.spawn(write_text(*client_, big, wrote));
  scope_.spawn(read_to_end(*client_, text, read));
  world_.run();
  token.cancel(CancelReason::kDeadline);
  EXPECT_EQ(scope_.active(), 2u) << "a cancel resumes nobody inline";
  world_.run();
  ASSERT_FALSE(wrote || read);
  EXPECT_EQ(wrote.error().code, ErrorCode::kCancelled);
  EXPECT_EQ(read.error().code, ErrorCode::kCancelled);
  Result<> later;
  scope_.spawn(write_text(*client_, "x", later));
  ASSERT_FALSE(later);
  EXPECT_EQ(later.error().code, ErrorCode::kCancelled);
}

TEST_F(SimStreamTest, UnreadBytesComeFirstEvenWhenCancelled) {
  Result<> wrote, readable;
  scope_.spawn(write_text(*client_, "abc", wrote));
  world_.run();
  Stream::ReadAwait read = server_->read();
  ASSERT_TRUE(read.await_ready());
  ASSERT_TRUE(read.result);
  read.result->consume(1);
  server_->unread(std::move(*read.result));
  CancelToken token;
  server_->bind(token);
  token.cancel(CancelReason::kDrain);
  EXPECT_TRUE(server_->dirty());
  scope_.spawn(wait_readable(*server_, readable));
  EXPECT_TRUE(readable);
  Stream::ReadAwait again = server_->read();
  ASSERT_TRUE(again.await_ready());
  ASSERT_TRUE(again.result);
  EXPECT_EQ(again.result->bytes(), "bc");
}

class Disturbances final : public Stream::Observer {
 public:
  std::string seen;

 private:
  void on_disturbed(bool broken) override { seen += broken ? 'B' : 'i'; }
};

TEST_F(SimStreamTest, ObserverIsToldWhenNobodyReads) {
  Disturbances told;
  server_->observe(&told);
  EXPECT_FALSE(server_->dirty());
  Result<> wrote;
  scope_.spawn(write_text(*client_, "x", wrote));
  world_.run();
  EXPECT_EQ(told.seen, "i");
  EXPECT_TRUE(server_->dirty());
  client_->abort();
  client_.reset();
  world_.run();
  EXPECT_EQ(told.seen, "iB");
}

TEST_F(SimStreamTest, ObserverIsNotToldWhatAReaderTakes) {
  Disturbances told;
  server_->observe(&told);
  std::string text;
  Result<> wrote, read;
  scope_.spawn(read_to_end(*server_, text, read));
  scope_.spawn(write_text(*client_, "x", wrote));
  world_.run();
  client_.reset();
  world_.run();
  EXPECT_EQ(text, "x");
  EXPECT_EQ(told.seen, "");
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
