// Socket and command-line helpers that the three benchmark tools share. A tool that cannot do its job stops
// at once with a message: a benchmark that goes on half broken would print figures that mean nothing.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

namespace bench {

[[noreturn]] inline void die(std::string_view what) {
  std::fprintf(stderr, "bench: %.*s\n", static_cast<int>(what.size()), what.data());
  std::exit(1);
}

[[noreturn]] inline void die_errno(std::string_view what) {
  die(std::string(what) + ": " + std::strerror(errno));
}

template <typename Number>
Number parse_number(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) die("not a number: " + std::string(text));
  return value;
}

/// "127.0.0.1:8080"; IPv4 only, the benchmark stays on loopback.
inline sockaddr_in parse_address(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) die("not an address: " + std::string(text));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(parse_number<uint16_t>(text.substr(colon + 1)));
  if (inet_pton(AF_INET, std::string(text.substr(0, colon)).c_str(), &address.sin_addr) != 1) {
    die("not an address: " + std::string(text));
  }
  return address;
}

/// Walks the arguments two by two: `for (Options o(argc, argv); o.next();) if (o.name() == "--x")
/// use(o.value());`
class Options {
 public:
  Options(int argc, char** argv) : argc_(argc), argv_(argv) {}
  bool next() {
    position_ += value_taken_ ? 2 : 1;
    value_taken_ = false;
    return position_ < argc_;
  }
  std::string_view name() const { return argv_[position_]; }
  std::string_view value() {
    if (position_ + 1 >= argc_) die(std::string(name()) + " needs a value");
    value_taken_ = true;
    return argv_[position_ + 1];
  }
  [[noreturn]] void unknown() const { die("unknown option " + std::string(name())); }

 private:
  int argc_;
  char** argv_;
  int position_ = 0;
  bool value_taken_ = false;
};

inline void set_no_delay(int fd) {
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

inline int listen_on(const sockaddr_in& address) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) die_errno("socket");
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) die_errno("bind");
  if (listen(fd, 4096) < 0) die_errno("listen");
  return fd;
}

/// Connects while blocking (on loopback that is some microseconds), then makes the socket non-blocking.
/// `source` is a host address in network order or 0; several sources widen the range of ports.
inline int connect_to(const sockaddr_in& address, in_addr_t source = 0) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  if (source != 0) {
    const int on = 1;
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    sockaddr_in from{};
    from.sin_family = AF_INET;
    from.sin_addr.s_addr = source;
    if (bind(fd, reinterpret_cast<const sockaddr*>(&from), sizeof from) < 0) {
      close(fd);
      return -1;
    }
  }
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) {
    const int error = errno;
    close(fd);
    errno = error;
    return -1;
  }
  set_no_delay(fd);
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  return fd;
}

/// One edge-triggered registration for a connection's whole life.
inline void watch(int poll, int fd, void* data) {
  epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.ptr = data}};
  if (epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event) < 0) die_errno("epoll_ctl");
}

/// A tool ends with the script that started it, however that ended.
inline void end_with_parent() {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  std::signal(SIGPIPE, SIG_IGN);
}

}  // namespace bench
