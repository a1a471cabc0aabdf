// The floor of the benchmark: accepts, connects to the upstream once for each client connection, copies bytes
// both ways. No parsing, no key check, nothing that a gateway is for; what a proxy costs above it is what its
// features cost.
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "net.h"

namespace bench {
namespace {

constexpr size_t kBuffer = 128 * 1024;

/// One direction of a pair: what one side has sent and the other has not yet taken.
struct Side {
  int fd = -1;
  struct Pair* pair = nullptr;
  Side* peer = nullptr;
  std::string
      stuck;  // read from this side, not yet accepted by the peer; while there is any, nothing more is read
  bool ended = false;
};

struct Pair {
  Side client;
  Side upstream;
};

class Pump {
 public:
  Pump(int listener, const sockaddr_in& upstream)
      : poll_(epoll_create1(EPOLL_CLOEXEC)), listener_(listener), upstream_(upstream) {
    epoll_event event{.events = EPOLLIN, .data = {.ptr = nullptr}};
    if (epoll_ctl(poll_, EPOLL_CTL_ADD, listener_, &event) < 0) die_errno("epoll_ctl");
  }

  void run() {
    std::vector<epoll_event> events(512);
    for (;;) {
      const int count = epoll_wait(poll_, events.data(), static_cast<int>(events.size()), -1);
      for (int i = 0; i < count; ++i) {
        const epoll_event& event = events[static_cast<size_t>(i)];
        auto* side = static_cast<Side*>(event.data.ptr);
        if (side == nullptr) {
          accept_all();
        } else if (side->fd >= 0) {
          serve(*side, event.events);
        }
      }
      // Both sides of a pair may have events in one turn, so a pair goes only after the turn.
      closed_.clear();
    }
  }

 private:
  void accept_all() {
    for (;;) {
      const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) return;
      const int upstream = connect_to(upstream_);
      if (upstream < 0) {
        close(fd);
        continue;
      }
      set_no_delay(fd);
      auto* pair = new Pair;
      pair->client = {.fd = fd, .pair = pair, .peer = &pair->upstream, .stuck = {}};
      pair->upstream = {.fd = upstream, .pair = pair, .peer = &pair->client, .stuck = {}};
      watch(poll_, fd, &pair->client);
      watch(poll_, upstream, &pair->upstream);
    }
  }

  void serve(Side& side, uint32_t events) {
    bool open = true;
    if ((events & EPOLLOUT) != 0 && !side.peer->stuck.empty()) {
      // There is room again for what the peer had sent; it may go on reading.
      open = push(*side.peer, std::exchange(side.peer->stuck, {})) &&
             (!side.peer->stuck.empty() || pull(*side.peer, true));
    }
    const bool hangup = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    if (open && side.stuck.empty() && ((events & EPOLLIN) != 0 || hangup)) open = pull(side, hangup);
    if (!open) finish(*side.pair);
  }

  /// Reads from `side` until it is empty or the peer takes no more. `to_the_end`: do not trust a short read.
  bool pull(Side& side, bool to_the_end) {
    if (side.ended) return true;
    for (;;) {
      const ssize_t got = recv(side.fd, buffer_.get(), kBuffer, 0);
      if (got < 0) return errno == EAGAIN || errno == EINTR;
      if (got == 0) {
        side.ended = true;
        shutdown(side.peer->fd, SHUT_WR);
        return !side.peer->ended;
      }
      if (!push(side, std::string_view(buffer_.get(), static_cast<size_t>(got)))) return false;
      if (!side.stuck.empty()) return true;
      if (static_cast<size_t>(got) < kBuffer && !to_the_end) return true;
    }
  }

  bool push(Side& side, std::string_view bytes) {
    const ssize_t sent = send(side.peer->fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) return false;
    const size_t taken = sent < 0 ? 0 : static_cast<size_t>(sent);
    if (taken < bytes.size()) side.stuck.assign(bytes.substr(taken));
    return true;
  }

  void finish(Pair& pair) {
    close(std::exchange(pair.client.fd, -1));
    close(std::exchange(pair.upstream.fd, -1));
    closed_.emplace_back(&pair);
  }

  int poll_;
  int listener_;
  sockaddr_in upstream_;
  std::unique_ptr<char[]> buffer_ = std::make_unique<char[]>(kBuffer);
  std::vector<std::unique_ptr<Pair>> closed_;
};

int run(int argc, char** argv) {
  end_with_parent();
  sockaddr_in address{};
  sockaddr_in upstream{};
  unsigned workers = 1;
  for (Options options(argc, argv); options.next();) {
    if (options.name() == "--listen")
      address = parse_address(options.value());
    else if (options.name() == "--upstream")
      upstream = parse_address(options.value());
    else if (options.name() == "--workers")
      workers = parse_number<unsigned>(options.value());
    else
      options.unknown();
  }
  if (address.sin_family == 0 || upstream.sin_family == 0) {
    die("usage: bench_pump --listen A:P --upstream A:P [--workers N]");
  }
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < workers; ++i) {
    const int listener = listen_on(address);
    threads.emplace_back([listener, upstream] { Pump(listener, upstream).run(); });
  }
  for (std::thread& thread : threads) thread.join();
  return 0;
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) { return bench::run(argc, argv); }
