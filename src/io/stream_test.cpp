// Every back-end of the loop keeps the contract of streams.
#include "io/stream_contract.h"

namespace sluice::io {
namespace {

using namespace std::chrono_literals;
using contract::connect_pair;
using contract::Pair;
using contract::read_some;
using contract::settle;
using contract::Watcher;
using contract::write_text;

/// A world where bytes take their time, now more and now less, in small portions.
struct SlowSimBackend : fixture::SimBackend {
  SlowSimBackend() : SimBackend(options()) {}
  static SimOptions options() {
    SimOptions options{.seed = 3, .pipe_bytes = 100'000, .split_transfers = true, .latency = 3ms};
    options.faults[FaultKind::kJitter] = {.per_million = 500'000, .up_to = 5ms};
    return options;
  }
};
using Backends =
    testing::Types<fixture::EpollBackend, fixture::UringBackend, fixture::SimBackend, SlowSimBackend>;
using SystemBackends = testing::Types<fixture::EpollBackend, fixture::UringBackend>;

/// A read that fills its buffer leaves the stream ready to be read without an event.
Task<> leave_ready(Pair& pair, Loop& loop) {
  for (int i = 0; i < 2; ++i) {
    co_await write_text(*pair.client, std::string(BufferPool::kSmallBytes, 'x'));
    co_await settle(loop);
    co_await read_some(*pair.server, BufferPool::kSmallBytes);
  }
}

Task<> read_once_told(Stream& teller, Stream& stream) {
  co_await read_some(teller, 1);
  co_await read_some(stream, 1);
}

Task<size_t> told_of_what_was_read(Loop& loop) {
  auto pair = co_await connect_pair(loop);
  auto other = co_await connect_pair(loop);
  co_await leave_ready(pair, loop);
  Watcher watcher;
  pair.server->observe(&watcher);
  co_await write_text(*pair.client, "y");
  co_await read_some(*pair.server, 1);
  co_await settle(loop);
  EXPECT_TRUE(watcher.told.empty()) << "read before the event was there";

  co_await leave_ready(pair, loop);
  watcher.told.clear();
  TaskScope scope;
  scope.spawn(read_once_told(*other.server, *pair.server));
  co_await settle(loop);
  co_await write_text(*other.client, "x");
  co_await write_text(*pair.client, "y");
  co_await scope.join();
  co_await settle(loop);
  co_return watcher.told.size();
}
Task<std::vector<Pair>> connect_pairs(Loop& loop, size_t count) {
  std::vector<Pair> pairs;
  while (pairs.size() < count) {
    auto pair = co_await connect_pair(loop);
    pairs.push_back(std::move(pair));
  }
  co_await settle(loop);
  co_return pairs;
}

Task<> answer(Stream& stream) {
  co_await read_some(stream, 1);
  co_await write_text(stream, "answer");
}

Task<size_t> answer_many_at_once(Loop& loop, size_t count) {
  auto pairs = co_await connect_pairs(loop, count);
  TaskScope scope;
  for (Pair& pair : pairs) scope.spawn(answer(*pair.server));
  for (Pair& pair : pairs) co_await write_text(*pair.client, "x");
  size_t answered = 0;
  for (Pair& pair : pairs) {
    auto text = co_await read_some(*pair.client, 6);
    answered += text == "answer";
  }
  co_await scope.join();
  co_return answered;
}

Task<> answer_unless_cancelled(std::unique_ptr<Stream> stream, bool cancels, CancelToken& token,
                               size_t& cancelled) {
  stream->bind(token);
  co_await read_some(*stream, 1);
  if (cancels) {
    token.cancel(CancelReason::kShed);
    co_return;
  }
  auto written = co_await write_text(*stream, "answer");
  cancelled += !written && written.error().code == ErrorCode::kCancelled;
}

Task<size_t> cancel_the_answers(Loop& loop, size_t count) {
  auto pairs = co_await connect_pairs(loop, count);
  CancelToken token;
  TaskScope scope;
  size_t cancelled = 0;
  for (Pair& pair : pairs) {
    bool last = &pair == &pairs.back();
    scope.spawn(answer_unless_cancelled(std::move(pair.server), last, token, cancelled));
  }
  for (Pair& pair : pairs) co_await write_text(*pair.client, "x");
  co_await scope.join();
  co_return cancelled;
}

/// A turn that has much to do sends what is small at its end.
template <class Backend>
class BusyTurns : public ::testing::Test {
 protected:
  Backend backend_;
};
TYPED_TEST_SUITE(BusyTurns, SystemBackends);
TYPED_TEST(BusyTurns, AnswerAll) {
  EXPECT_EQ(this->backend_.await(answer_many_at_once(this->backend_.loop, 50)), 50u);
}
// The stream goes before the turn ends.
TYPED_TEST(BusyTurns, WhatIsHeldCanBeCancelled) {
  EXPECT_EQ(this->backend_.await(cancel_the_answers(this->backend_.loop, 15)), 14u);
}

/// Streams that are read before their event is handled.
template <class Backend>
class EventsBehindReads : public ::testing::Test {
 protected:
  Backend backend_;
};
TYPED_TEST_SUITE(EventsBehindReads, SystemBackends);
// The pool would drop a connection whose last answer was read before its event's turn came.
TYPED_TEST(EventsBehindReads, ObserverIsNotToldWhatWasReadAlready) {
  EXPECT_EQ(this->backend_.await(told_of_what_was_read(this->backend_.loop)), 0u)
      << "read before the event's turn";
}

}  // namespace

namespace contract {
INSTANTIATE_TYPED_TEST_SUITE_P(Backends, StreamContract, Backends);
}

}  // namespace sluice::io
