#include "http/h1/accept_loop.h"

#include "io/sleep.h"

namespace sluice::http::h1 {

namespace {
/// After descriptors ran out: time for connections to end.
constexpr Duration kDescriptorPause = std::chrono::milliseconds(20);
/// New connections in a row before others have a turn.
constexpr int kAcceptsInARow = 64;
}  // namespace

io::Task<> accept_connections(io::Listener& listener, AcceptTarget target, io::CancelToken& token) {
  for (int accepted = 1;; ++accepted) {
    auto stream = co_await listener.accept();
    if (stream) {
      target.scope.spawn(serve_connection(target.loop, std::move(*stream), target.handler, target.listener,
                                          target.connections));
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
