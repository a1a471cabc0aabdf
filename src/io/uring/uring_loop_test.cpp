#include "io/uring/uring_loop.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "io/stream_fixture.h"
#include "io/uring/buffer_ring.h"
#include "io/uring/uring_stream.h"

namespace sluice::io {
namespace {

using fixture::connect_pair;
using fixture::read_all;
using fixture::read_some;
using fixture::settle;
using fixture::wait_until;
using fixture::write_text;

struct UringLoopTest : testing::Test {
  fixture::UringBackend backend;
  UringLoop& loop = backend.loop;
};

Task<std::vector<fixture::Pair>> connect_many(Loop& loop, size_t count) {
  std::vector<fixture::Pair> pairs;
  while (pairs.size() < count) {
    auto pair = co_await connect_pair(loop);
    pairs.push_back(std::move(pair));
  }
  co_return pairs;
}

Task<size_t> hold_more_than_the_ring_has(UringLoop& loop) {
  auto pairs = co_await connect_many(loop, BufferRing::kCount + 20);
  std::vector<Lease> held;
  for (auto& pair : pairs) {
    co_await write_text(*pair.client, "some bytes");
    auto lease = co_await pair.server->read();
    EXPECT_EQ(lease->bytes(), "some bytes");
    held.push_back(std::move(*lease));
  }
  EXPECT_EQ(loop.lent().lent(), BufferRing::kCount);
  EXPECT_EQ(loop.buffers().lent(), 20u) << "an empty ring falls back to buffers of the pool";
  co_return held.size();
}
TEST_F(UringLoopTest, EmptyRingIsNoEndOfReceiving) {
  EXPECT_EQ(backend.await(hold_more_than_the_ring_has(loop)), BufferRing::kCount + 20);
  EXPECT_EQ(loop.lent().lent(), 0u);
  EXPECT_EQ(loop.buffers().lent(), 0u);
}

// Another thread gets the number of a descriptor as soon as it is closed, before what was prepared for it is
// submitted: its bytes must not be received for the one that is gone.
Task<std::string> close_before_submitting(UringLoop& loop) {
  int gone[2];
  int other[2];
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, gone), 0);
  UringStream::adopt(loop, gone[0], Address::loopback(1)).reset();
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, other), 0);
  EXPECT_EQ(other[0], gone[0]) << "the number is used again";
  EXPECT_EQ(write(other[1], "mine", 4), 4);
  co_await settle(loop);
  char text[8];
  ssize_t n = recv(other[0], text, sizeof text, MSG_DONTWAIT);
  for (int descriptor : {gone[1], other[0], other[1]}) close(descriptor);
  co_return std::string(text, static_cast<size_t>(std::max<ssize_t>(n, 0)));
}
TEST_F(UringLoopTest, WhatIsPreparedForAClosedDescriptorIsWithdrawn) {
  EXPECT_EQ(backend.await(close_before_submitting(loop)), "mine");
}

Task<size_t> leave_unread(UringLoop& loop) {
  auto pair = co_await connect_pair(loop);
  TaskScope scope;
  CancelToken token;
  pair.client->bind(token);
  auto flood = [](Stream& stream) -> Task<> { co_await write_text(stream, std::string(32 << 20, 'x')); };
  scope.spawn(flood(*pair.client));
  co_await settle(loop);
  size_t lent = loop.lent().lent() * BufferRing::kBytes + loop.buffers().lent() * BufferPool::kLargeBytes;
  token.cancel(CancelReason::kShed);
  co_await scope.join();
  co_return lent;
}
// What a peer sends while nobody reads stays in the kernel, but for what one receive brings. Before
// Linux 6.17 that cannot be told when to end, and may empty the whole ring.
TEST_F(UringLoopTest, UnreadStreamHoldsLittle) {
  size_t held = backend.await(leave_unread(loop));
  EXPECT_LE(held, loop.caps_receives() ? 2 * BufferRing::kBytes + BufferPool::kLargeBytes
                                       : (BufferRing::kCount + 32) * BufferRing::kBytes);
}

Task<bool> receive_without_a_cap(UringLoop& loop) {
  loop.cap_no_receives();
  auto pair = co_await connect_pair(loop);
  co_await write_text(*pair.client, "x");
  auto text = co_await read_some(*pair.server, 1);
  co_return text == "x";
}
TEST_F(UringLoopTest, OlderKernelsReceiveWithoutACap) {
  EXPECT_TRUE(backend.await(receive_without_a_cap(loop)));
}

std::string numbered(size_t size) {
  std::string text;
  while (text.size() < size) text += std::to_string(text.size()) + " ";
  text.resize(size);
  return text;
}
Task<bool> alternate_sizes(UringLoop& loop) {
  auto pair = co_await connect_pair(loop);
  bool same = true;
  for (int round = 0; round < 8; ++round) {
    for (size_t size :
         {200'000u, 10u, 300u, 8'192u, 8'193u, 1u, 1u, 1u, 1u, 1u, 1u, 1u, 1u, 1u, 20u, 70'000u, 5u}) {
      std::string text = numbered(size);
      TaskScope scope;
      auto send = [](Stream& stream, std::string bytes) -> Task<> {
        co_await write_text(stream, std::move(bytes));
      };
      scope.spawn(send(*pair.client, text));
      auto received = co_await read_some(*pair.server, size);
      co_await scope.join();
      same = same && received == text;
      same = same && !pair.server->dirty();
    }
  }
  co_return same;
}
TEST_F(UringLoopTest, ChangesBetweenWaysOfReceivingLoseNothing) {
  EXPECT_TRUE(backend.await(alternate_sizes(loop)));
}

Task<bool> abandon_with_operations_in_flight(UringLoop& loop) {
  {
    auto pairs = co_await connect_many(loop, 50);
    auto listener = loop.listen(Address::loopback(0), {}).value();
    for (size_t i = 0; i < pairs.size(); i += 2) co_await write_text(*pairs[i].client, numbered(10'000));
    CancelToken token;
    listener->bind(token);
    TaskScope scope;
    auto accept = [](Listener& from) -> Task<> { co_await from.accept(); };
    scope.spawn(accept(*listener));
    token.cancel(CancelReason::kDrain);
    co_await scope.join();
  }
  co_return true;
}
TEST_F(UringLoopTest, LettingGoWaitsForEveryOperation) {
  EXPECT_TRUE(backend.await(abandon_with_operations_in_flight(loop)));
  loop.let_go();
  EXPECT_EQ(loop.operations(), 0u);
  EXPECT_EQ(loop.lent().lent(), 0u);
}

TEST_F(UringLoopTest, MessagesOfOtherThreadsWakeIt) {
  int seen = 0;
  std::thread other([&] {
    for (int i = 0; i < 1000; ++i)
      loop.post([&] {
        if (++seen == 1000) loop.stop();
      });
  });
  loop.run();
  other.join();
  EXPECT_EQ(seen, 1000);
}

Task<Duration> sleep_a_little(Loop& loop) {
  CancelToken token;
  Instant start = loop.now();
  co_await sleep_for(loop, std::chrono::milliseconds(30), token);
  co_return loop.now() - start;
}
TEST_F(UringLoopTest, TimersAreNeverEarly) {
  EXPECT_GE(backend.await(sleep_a_little(loop)), std::chrono::milliseconds(30));
}

}  // namespace
}  // namespace sluice::io
