#include "http/h1/accept_loop.h"

#include "io/sleep.h"

namespace sluice::http::h1 {

namespace {
/// After descriptors ran out: time for connections to end.
constexpr Duration kDescriptorPause = std::chrono::milliseconds(20);
/// New connections of one listener in a row before the loop's other work has a turn: a flood costs those at
/// hand a few microseconds for each of so many, in each turn.
constexpr int kAcceptsInARow = 16;
}  // namespace

io::Task<> accept_connections(io::Listener& listener, AcceptTarget target, io::CancelToken& token) {
  for (int accepted = 1;; ++accepted) {
    auto stream = co_await listener.accept();
    if (stream) {
      if (target.handler.admit((*stream)->peer()))
        target.scope.spawn(serve_connection(target.loop, std::move(*stream), target.handler, target.listener,
                                            target.connections));
      else
        (*stream)->abort();  // a reset: closed by us in good order it would stay in the kernel for a minute
      if (accepted % kAcceptsInARow == 0) co_await target.loop.yield();
      continue;
    }
    if (stream.error().code == io::ErrorCode::kCancelled) co_return;
    if (stream.error().code == io::ErrorCode::kNoDescriptors) target.handler.count_shed();
    auto slept = co_await io::sleep_for(target.loop, kDescriptorPause, token);
    if (!slept) co_return;
  }
}

}  // namespace sluice::http::h1
