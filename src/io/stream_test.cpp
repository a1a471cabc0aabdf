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
/// Streams that are read before their event is handled.
template <class Backend>
class EventsBehindReads : public testing::Test {
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
