// The upstream of the benchmark: an HTTP/1.1 keep-alive server that answers from memory, so cheap that it is
// never the bottleneck. What it answers is named by the end of the path, whatever stands before it:
//   .../1k  .../100k  .../bytes/N   N bytes          .../echo      the request's head as it arrived
//   .../stream/N                    N bytes, one a second          anything else: 1 KiB
//   .../count                       how many requests have come, as text
// Request bodies are read and dropped. --delay-us N answers each request so much later.
#include <algorithm>
#include <ctime>
#include <deque>
#include <memory>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "http_scan.h"
#include "net.h"

namespace bench {
namespace {

constexpr size_t kReadBuffer = 64 * 1024;

std::string answer(std::string_view type, uint64_t length, std::string_view body) {
  std::string text =
      "HTTP/1.1 200 OK\r\nServer: bench\r\nDate: Tue, 24 Nov 2026 12:00:00 GMT\r\nContent-Type: ";
  text += type;
  text += "\r\nContent-Length: " + std::to_string(length) + "\r\nX-Upstream-Node: a1\r\n\r\n";
  text += body;
  return text;
}

struct Connection {
  explicit Connection(int socket) : fd(socket) {}

  int fd;
  std::string partial;  // bytes of an unfinished head, or not looked at while an answer is stuck
  std::string own;      // an answer made for this request alone
  const std::string* answer = nullptr;  // being sent
  size_t sent = 0;
  uint64_t body_left = 0;  // of the request
  bool body_chunked = false;
  ChunkedSkipper chunks;
  uint64_t stream_left = 0;  // bytes still to dribble
  bool delayed = false;      // its answer is not due yet
};

uint64_t now_us() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
}

class Server {
 public:
  Server(int listener, uint64_t delay_us)
      : poll_(epoll_create1(EPOLL_CLOEXEC)), listener_(listener), delay_us_(delay_us) {
    epoll_event event{.events = EPOLLIN, .data = {.ptr = nullptr}};
    if (epoll_ctl(poll_, EPOLL_CTL_ADD, listener_, &event) < 0) die_errno("epoll_ctl");
  }

  void run() {
    std::vector<epoll_event> events(512);
    for (;;) {
      const timespec patience = time_to_wait();
      const int count =
          epoll_pwait2(poll_, events.data(), static_cast<int>(events.size()), &patience, nullptr);
      for (int i = 0; i < count; ++i) {
        const epoll_event& event = events[static_cast<size_t>(i)];
        auto* connection = static_cast<Connection*>(event.data.ptr);
        if (connection == nullptr) {
          accept_all();
        } else if (!serve(*connection, (event.events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)) {
          drop(connection);
        }
      }
      if (!streaming_.empty()) dribble();
      answer_due();
    }
  }

 private:
  /// Until the next answer is due, or a byte of a stream.
  timespec time_to_wait() const {
    uint64_t us = streaming_.empty() ? 3'600'000'000 : 100'000;
    if (!due_.empty()) {
      const uint64_t now = now_us();
      us = std::min(us, due_.front().at_us > now ? due_.front().at_us - now : 0);
    }
    return {.tv_sec = static_cast<time_t>(us / 1'000'000),
            .tv_nsec = static_cast<long>(us % 1'000'000 * 1000)};
  }

  void answer_due() {
    while (!due_.empty() && due_.front().at_us <= now_us()) {
      Connection* connection = due_.front().connection;
      due_.pop_front();
      if (!connection) continue;
      connection->delayed = false;
      if (!serve(*connection, false)) drop(connection);
    }
  }

  void accept_all() {
    for (;;) {
      const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) return;
      set_no_delay(fd);
      watch(poll_, fd, new Connection(fd));
    }
  }

  void drop(Connection* connection) {
    std::erase(streaming_, connection);
    for (Due& due : due_)
      if (due.connection == connection) due.connection = nullptr;
    close(connection->fd);
    delete connection;
  }

  /// False when the connection is over. `hangup`: the peer has closed, so its end of stream must be read as
  /// well.
  bool serve(Connection& connection, bool hangup) {
    if (!flush(connection)) return false;
    if (!connection.partial.empty() && connection.answer == nullptr) {
      const std::string held = std::exchange(connection.partial, {});
      if (!consume(connection, held)) return false;
    }
    for (;;) {
      if (connection.answer != nullptr) return true;  // the edge of EPOLLOUT comes back here
      const ssize_t got = recv(connection.fd, buffer_.get(), kReadBuffer, 0);
      if (got == 0) return false;
      if (got < 0) return errno == EAGAIN || errno == EINTR;
      std::string_view input(buffer_.get(), static_cast<size_t>(got));
      std::string joined;
      if (!connection.partial.empty()) {
        joined = std::exchange(connection.partial, {});
        joined += input;
        input = joined;
      }
      if (!consume(connection, input)) return false;
      if (static_cast<size_t>(got) < kReadBuffer && !hangup) return true;  // a short read saw all there was
    }
  }

  bool consume(Connection& connection, std::string_view input) {
    while (!input.empty()) {
      if (connection.body_chunked) {
        if (!connection.chunks.skip(input)) return true;
        connection.body_chunked = false;
        continue;
      }
      if (connection.body_left > 0) {
        const size_t taken = static_cast<size_t>(std::min<uint64_t>(connection.body_left, input.size()));
        connection.body_left -= taken;
        input.remove_prefix(taken);
        continue;
      }
      const size_t end = connection.answer == nullptr ? input.find("\r\n\r\n") : std::string_view::npos;
      if (end == std::string_view::npos) {
        connection.partial.append(input);
        return connection.partial.size() < 256 * 1024;
      }
      const std::string_view head = input.substr(0, end + 4);
      input.remove_prefix(end + 4);
      const Head framing = scan_head(head);
      connection.body_left = framing.content_length;
      connection.body_chunked = framing.chunked;
      if (framing.chunked) connection.chunks = {};
      ++requests_;
      respond(connection, head);
      if (delay_us_ > 0) {
        connection.delayed = true;
        due_.push_back({now_us() + delay_us_, &connection});
      }
      if (!flush(connection)) return false;
    }
    return true;
  }

  void respond(Connection& connection, std::string_view head) {
    std::string_view path = head.substr(0, head.find("\r\n"));
    path.remove_prefix(std::min(path.size(), path.find(' ') + 1));
    path = path.substr(0, path.find_first_of(" ?"));
    const size_t slash = path.rfind('/');
    const std::string_view last = slash == std::string_view::npos ? path : path.substr(slash + 1);
    const std::string_view before = slash == std::string_view::npos ? "" : path.substr(0, slash);
    if (last == "1k") {
      connection.answer = &fixed(1024);
    } else if (last == "100k") {
      connection.answer = &fixed(100 * 1024);
    } else if (before.ends_with("/bytes")) {
      connection.answer = &fixed(parse_number<uint64_t>(last));
    } else if (before.ends_with("/stream")) {
      connection.stream_left = parse_number<uint64_t>(last);
      connection.own = answer("text/plain", connection.stream_left, "");
      connection.answer = &connection.own;
      if (connection.stream_left > 0) streaming_.push_back(&connection);
    } else if (last == "count") {
      const std::string count = std::to_string(requests_);
      connection.own = answer("text/plain", count.size(), count);
      connection.answer = &connection.own;
    } else if (last == "echo") {
      connection.own = answer("text/plain", head.size(), head);
      connection.answer = &connection.own;
    } else {
      connection.answer = &fixed(1024);
    }
  }

  const std::string& fixed(uint64_t length) {
    auto& slot = fixed_[length];
    if (slot == nullptr) {
      slot = std::make_unique<std::string>(
          answer("application/octet-stream", length, std::string(static_cast<size_t>(length), 'x')));
    }
    return *slot;
  }

  bool flush(Connection& connection) {
    while (connection.answer != nullptr && !connection.delayed) {
      const std::string& text = *connection.answer;
      const ssize_t sent =
          send(connection.fd, text.data() + connection.sent, text.size() - connection.sent, MSG_NOSIGNAL);
      if (sent < 0) return errno == EAGAIN || errno == EINTR;
      connection.sent += static_cast<size_t>(sent);
      if (connection.sent == text.size()) {
        connection.answer = nullptr;
        connection.sent = 0;
      }
    }
    return true;
  }

  void dribble() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    if (now.tv_sec == last_dribble_) return;
    last_dribble_ = now.tv_sec;
    for (size_t i = 0; i < streaming_.size();) {
      Connection& connection = *streaming_[i];
      if (connection.answer == nullptr && send(connection.fd, ".", 1, MSG_NOSIGNAL) == 1)
        --connection.stream_left;
      if (connection.stream_left == 0) {
        streaming_.erase(streaming_.begin() + static_cast<std::ptrdiff_t>(i));
      } else {
        ++i;
      }
    }
  }

  int poll_;
  int listener_;
  std::unique_ptr<char[]> buffer_ = std::make_unique<char[]>(kReadBuffer);
  std::unordered_map<uint64_t, std::unique_ptr<std::string>> fixed_;
  std::vector<Connection*> streaming_;
  struct Due {
    uint64_t at_us;
    Connection* connection;  // null: gone
  };
  std::deque<Due> due_;  // in the order of their times, for all wait as long
  const uint64_t delay_us_;
  uint64_t requests_ = 0;
  time_t last_dribble_ = 0;
};

int run(int argc, char** argv) {
  end_with_parent();
  sockaddr_in address = parse_address("127.0.0.1:0");
  unsigned workers = 1;
  uint64_t delay_us = 0;
  for (Options options(argc, argv); options.next();) {
    if (options.name() == "--listen")
      address = parse_address(options.value());
    else if (options.name() == "--workers")
      workers = parse_number<unsigned>(options.value());
    else if (options.name() == "--delay-us")
      delay_us = parse_number<uint64_t>(options.value());
    else
      options.unknown();
  }
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < workers; ++i) {
    const int listener = listen_on(address);
    threads.emplace_back([listener, delay_us] { Server(listener, delay_us).run(); });
  }
  for (std::thread& thread : threads) thread.join();
  return 0;
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) { return bench::run(argc, argv); }
