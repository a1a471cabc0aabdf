#include "io/accept_loop.h"

#include "io/sleep.h"

namespace sluice::io {

namespace {
/// After descriptors ran out: time for connections to end.
constexpr Duration kDescriptorPause = std::chrono::milliseconds(20);
/// New connections of one listener in a row before the loop's other work has a turn: a flood costs those at
/// hand a few microseconds for each of so many, in each turn.
constexpr int kAcceptsInARow = 16;
}  // namespace

Task<> accept_connections(Loop& loop, Listener& listener, Acceptor& acceptor, CancelToken& token) {
  for (int accepted = 1;; ++accepted) {
    auto stream = co_await listener.accept();
    if (stream) {
      if (acceptor.admit((*stream)->peer()))
        acceptor.accepted(std::move(*stream));
      else
        (*stream)->abort();  // a reset: closed by us in good order it would stay in the kernel for a minute
      if (accepted % kAcceptsInARow == 0) co_await loop.yield();
      continue;
    }
    if (stream.error().code == ErrorCode::kCancelled) co_return;
    if (stream.error().code == ErrorCode::kNoDescriptors) acceptor.shed();
    auto slept = co_await sleep_for(loop, kDescriptorPause, token);
    if (!slept) co_return;
  }
}

}  // namespace sluice::io
