// Both ends of the WebSocket measurement. --listen: a server that sends every message back. --address: a load
// of C connections, each of which sends its next message of --size bytes when the last has come back. The
// load's result is one line of JSON; cpu_us is what the processes given by --pid used for each message there
// and back.
#include <ctime>
#include <memory>
#include <utility>
#include <vector>

#include "cpu_time.h"
#include "histogram.h"
#include "net.h"
#include "websocket_frames.h"

namespace bench {
namespace {

constexpr size_t kReadBuffer = 256 * 1024;
constexpr uint64_t kSecond = 1'000'000'000;

uint64_t now_ns() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<uint64_t>(t.tv_sec) * kSecond + static_cast<uint64_t>(t.tv_nsec);
}

struct Peer {
  int fd = -1;
  bool open = false;     // the handshake is done
  std::string received;  // not yet a whole frame (or head)
  std::string unsent;
  uint64_t started = 0;
};

bool flush(Peer& peer) {
  while (!peer.unsent.empty()) {
    const ssize_t sent = send(peer.fd, peer.unsent.data(), peer.unsent.size(), MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN || errno == EINTR;
    peer.unsent.erase(0, static_cast<size_t>(sent));
  }
  return true;
}

/// Reads what there is; false at the end of the connection.
bool receive(Peer& peer, char* buffer) {
  for (;;) {
    const ssize_t got = recv(peer.fd, buffer, kReadBuffer, 0);
    if (got == 0) return false;
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    peer.received.append(buffer, static_cast<size_t>(got));
  }
}

/// Cuts a head of HTTP off the front; empty while it is not whole.
std::string take_head(Peer& peer) {
  const size_t end = peer.received.find("\r\n\r\n");
  if (end == std::string::npos) return {};
  std::string head = peer.received.substr(0, end + 4);
  peer.received.erase(0, end + 4);
  return head;
}

class EchoServer {
 public:
  explicit EchoServer(int listener) : poll_(epoll_create1(EPOLL_CLOEXEC)), listener_(listener) {
    epoll_event event{.events = EPOLLIN, .data = {.ptr = nullptr}};
    if (epoll_ctl(poll_, EPOLL_CTL_ADD, listener_, &event) < 0) die_errno("epoll_ctl");
  }

  void run() {
    std::vector<epoll_event> events(512);
    for (;;) {
      const int count = epoll_wait(poll_, events.data(), static_cast<int>(events.size()), -1);
      for (int i = 0; i < count; ++i) {
        auto* peer = static_cast<Peer*>(events[static_cast<size_t>(i)].data.ptr);
        if (peer == nullptr) {
          accept_all();
        } else if (!receive(*peer, buffer_.get()) || !serve(*peer) || !flush(*peer)) {
          close(peer->fd);
          delete peer;
        }
      }
    }
  }

 private:
  void accept_all() {
    for (;;) {
      const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) return;
      set_no_delay(fd);
      auto* peer = new Peer;
      peer->fd = fd;
      watch(poll_, fd, peer);
    }
  }

  static bool serve(Peer& peer) {
    if (!peer.open) {
      if (take_head(peer).empty()) return true;
      peer.open = true;
      peer.unsent =
          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
          "Sec-WebSocket-Accept: " +
          websocket_accept(kWebSocketKey) + "\r\n\r\n";
    }
    for (;;) {
      const auto frame = frame_head(peer.received);
      if (!frame || peer.received.size() < frame->head + frame->payload) return true;
      if (frame->close) return false;
      std::string_view payload = std::string_view(peer.received).substr(frame->head, frame->payload);
      if (frame->masked) apply_mask(peer.received.data() + frame->head, frame->payload, frame->mask);
      peer.unsent += websocket_message(payload, false);
      peer.received.erase(0, frame->head + frame->payload);
    }
  }

  int poll_;
  int listener_;
  std::unique_ptr<char[]> buffer_ = std::make_unique<char[]>(kReadBuffer);
};

struct LoadOptions {
  sockaddr_in address{};
  size_t connections = 1;
  size_t size = 64;
  double seconds = 1;
  double warmup = 0;
  std::vector<int> pids;
};

class Load {
 public:
  explicit Load(LoadOptions options)
      : options_(std::move(options)),
        message_(websocket_message(std::string(options_.size, 'w'), true)),
        poll_(epoll_create1(EPOLL_CLOEXEC)),
        peers_(options_.connections) {}

  void run() {
    for (Peer& peer : peers_) {
      peer.fd = connect_to(options_.address);
      if (peer.fd < 0) die_errno("connect");
      watch(poll_, peer.fd, &peer);
      peer.unsent =
          "GET /ws HTTP/1.1\r\nHost: bench.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
          "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " +
          std::string(kWebSocketKey) + "\r\n\r\n";
      if (!flush(peer)) die_errno("send");
    }
    run_until(now_ns() + static_cast<uint64_t>(options_.warmup * kSecond));
    latency_ = std::make_unique<Histogram>();
    const CpuTime before = CpuTime::of(options_.pids);
    const uint64_t start = now_ns();
    run_until(start + static_cast<uint64_t>(options_.seconds * kSecond));
    report(before, CpuTime::of(options_.pids), static_cast<double>(now_ns() - start) / kSecond);
  }

 private:
  void run_until(uint64_t end) {
    for (uint64_t now = now_ns(); now < end; now = now_ns()) {
      const int wait_ms = static_cast<int>((end - now) / 1'000'000) + 1;
      const int count = epoll_wait(poll_, events_.data(), static_cast<int>(events_.size()), wait_ms);
      for (int i = 0; i < count; ++i) {
        Peer& peer = *static_cast<Peer*>(events_[static_cast<size_t>(i)].data.ptr);
        if (!receive(peer, buffer_.get())) die("the server closed a connection");
        answer(peer);
        if (!flush(peer)) die_errno("send");
      }
    }
  }

  void answer(Peer& peer) {
    if (!peer.open) {
      const std::string head = take_head(peer);
      if (head.empty()) return;
      if (!head.starts_with("HTTP/1.1 101") ||
          head.find(websocket_accept(kWebSocketKey)) == std::string::npos)
        die("no upgrade but: " + head);
      peer.open = true;
      return send_next(peer);
    }
    const auto frame = frame_head(peer.received);
    if (!frame || peer.received.size() < frame->head + frame->payload) return;
    if (frame->payload != options_.size || frame->masked || frame->close) die("another message came back");
    if (peer.received.size() > frame->head + frame->payload) die("more came back than was sent");
    peer.received.clear();
    latency_->record(now_ns() - peer.started);
    send_next(peer);
  }

  void send_next(Peer& peer) {
    peer.started = now_ns();
    peer.unsent = message_;
  }

  void report(const CpuTime& before, const CpuTime& after, double seconds) const {
    const double cpu_us = static_cast<double>(after.total_ns - before.total_ns) / 1000;
    const auto done = static_cast<double>(latency_->total());
    std::printf(
        "{\"messages\": %.0f, \"seconds\": %.4f, \"rps\": %.1f, \"p50_us\": %.2f, \"p99_us\": %.2f, "
        "\"cpu_seconds\": %.6f, \"cpu_us\": %.4f}\n",
        done, seconds, done / seconds, static_cast<double>(latency_->quantile(0.5)) / 1000,
        static_cast<double>(latency_->quantile(0.99)) / 1000, cpu_us / 1e6, done == 0 ? 0 : cpu_us / done);
  }

  LoadOptions options_;
  std::string message_;
  int poll_;
  std::vector<Peer> peers_;
  std::vector<epoll_event> events_ = std::vector<epoll_event>(256);
  std::unique_ptr<char[]> buffer_ = std::make_unique<char[]>(kReadBuffer);
  std::unique_ptr<Histogram> latency_ = std::make_unique<Histogram>();
};

int run(int argc, char** argv) {
  end_with_parent();
  sockaddr_in listen{};
  LoadOptions load;
  for (Options options(argc, argv); options.next();) {
    if (options.name() == "--listen")
      listen = parse_address(options.value());
    else if (options.name() == "--address")
      load.address = parse_address(options.value());
    else if (options.name() == "--connections")
      load.connections = parse_number<size_t>(options.value());
    else if (options.name() == "--size")
      load.size = parse_number<size_t>(options.value());
    else if (options.name() == "--seconds")
      load.seconds = parse_number<double>(options.value());
    else if (options.name() == "--warmup")
      load.warmup = parse_number<double>(options.value());
    else if (options.name() == "--pid")
      load.pids.push_back(parse_number<int>(options.value()));
    else
      options.unknown();
  }
  if (listen.sin_family != 0) EchoServer(listen_on(listen)).run();
  if (load.address.sin_family == 0) die("--listen or --address is needed");
  Load(std::move(load)).run();
  return 0;
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) { return bench::run(argc, argv); }
