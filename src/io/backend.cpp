#include "io/backend.h"

#include "io/epoll/epoll_loop.h"
#include "io/uring/probe.h"
#include "io/uring/uring_loop.h"

namespace sluice::io {

std::string_view backend_name(Backend backend) { return backend == Backend::kUring ? "io_uring" : "epoll"; }

std::expected<BackendChoice, std::string> choose_backend(BackendWish wish) {
  if (wish == BackendWish::kEpoll) return BackendChoice{Backend::kEpoll, "configured"};
  auto probed = probe_uring();
  if (probed) return BackendChoice{Backend::kUring, wish == BackendWish::kUring ? "configured" : "available"};
  if (wish == BackendWish::kUring) return std::unexpected(std::move(probed.error()));
  return BackendChoice{Backend::kEpoll, std::move(probed.error())};
}

std::unique_ptr<SystemLoop> make_loop(Backend backend, uint64_t seed) {
  if (backend == Backend::kUring) return std::make_unique<UringLoop>(seed);
  return std::make_unique<EpollLoop>(seed);
}

std::expected<LoopSet, std::string> make_loops(BackendWish wish, const std::vector<uint64_t>& seeds) {
  auto choice = choose_backend(wish);
  if (!choice) return std::unexpected(std::move(choice.error()));
  LoopSet set{std::move(*choice), {}};
  try {
    for (uint64_t seed : seeds) set.loops.push_back(make_loop(set.choice.backend, seed));
  } catch (const std::exception& failure) {
    if (set.choice.backend == Backend::kEpoll || wish == BackendWish::kUring)
      return std::unexpected(failure.what());
    set = {{Backend::kEpoll, failure.what()}, {}};
    for (uint64_t seed : seeds) set.loops.push_back(make_loop(Backend::kEpoll, seed));
  }
  return set;
}

}  // namespace sluice::io
