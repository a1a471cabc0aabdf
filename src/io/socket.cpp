#include "io/socket.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "io/socket_address.h"

namespace sluice::io {

namespace {

constexpr size_t kMaxPieces = 1024;  // UIO_MAXIOV, the system's limit

Result<int> open_socket(const Address& address) {
  int descriptor = socket(address.ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return std::unexpected(error_from_errno(errno));
  return descriptor;
}

std::unexpected<Error> close_and_fail(int descriptor) {
  Error error = error_from_errno(errno);
  close(descriptor);
  return std::unexpected(error);
}

}  // namespace

Result<int> open_listening_socket(const Address& address, ListenOptions options) {
  if (options.inherited >= 0) {
    // Once more, for the length of its queue.
    if (listen(options.inherited, options.backlog) < 0) return close_and_fail(options.inherited);
    return options.inherited;
  }
  auto descriptor = open_socket(address);
  if (!descriptor) return descriptor;
  int on = 1;
  setsockopt(*descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (options.reuse_port) setsockopt(*descriptor, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  SocketAddress to(address);
  if (bind(*descriptor, to.get(), to.size()) < 0 || listen(*descriptor, options.backlog) < 0)
    return close_and_fail(*descriptor);
  return descriptor;
}

int accept_rest(int listener) {
  int accepted;
  do accepted = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  while (accepted < 0 && (errno == EINTR || errno == ECONNABORTED));
  return accepted;
}

Result<int> duplicate_descriptor(int descriptor) {
  int duplicate = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
  if (duplicate < 0) return std::unexpected(error_from_errno(errno));
  return duplicate;
}

Result<int> open_connecting_socket(const Address& address) {
  auto descriptor = open_socket(address);
  if (!descriptor) return descriptor;
  SocketAddress to(address);
  if (connect(*descriptor, to.get(), to.size()) < 0 && errno != EINPROGRESS)
    return close_and_fail(*descriptor);
  return descriptor;
}

Result<> connect_outcome(int descriptor) {
  int system = 0;
  socklen_t size = sizeof system;
  getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &system, &size);
  if (system) return std::unexpected(error_from_errno(system));
  return {};
}

ssize_t socket_receive(int descriptor, char* to, size_t room) {
  ssize_t n;
  do n = recv(descriptor, to, room, 0);
  while (n < 0 && errno == EINTR);
  return n;
}

ssize_t socket_send(int descriptor, std::span<const iovec> pieces) {
  ssize_t n;
  do {
    if (pieces.size() == 1) {
      n = send(descriptor, pieces[0].iov_base, pieces[0].iov_len, MSG_NOSIGNAL);
    } else {
      msghdr message{};
      message.msg_iov = const_cast<iovec*>(pieces.data());
      message.msg_iovlen = std::min(pieces.size(), kMaxPieces);
      n = sendmsg(descriptor, &message, MSG_NOSIGNAL);
    }
  } while (n < 0 && errno == EINTR);
  return n;
}

bool socket_has_input(int descriptor) {
  char byte;
  ssize_t n = recv(descriptor, &byte, 1, MSG_PEEK);
  return n >= 0 || errno != EAGAIN;
}

Duration socket_input_age(int descriptor) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &size) < 0) return {};
  return std::chrono::milliseconds(info.tcpi_last_data_recv);
}

void send_without_delay(int descriptor) {
  int on = 1;
  setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void reset_on_close(int descriptor) {
  linger reset{1, 0};
  setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
}

Address local_address(int descriptor) {
  SocketAddress address;
  getsockname(descriptor, address.get(), address.size_pointer());
  return address.address();
}

Address peer_address(int descriptor) {
  SocketAddress address;
  getpeername(descriptor, address.get(), address.size_pointer());
  return address.address();
}

ReserveDescriptor::ReserveDescriptor() : reserve_(open("/dev/null", O_RDONLY | O_CLOEXEC)) {}

ReserveDescriptor::~ReserveDescriptor() {
  if (reserve_ >= 0) close(reserve_);
}

void ReserveDescriptor::shed_one(int listener) {
  if (reserve_ >= 0) close(reserve_);
  int accepted = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (accepted >= 0) close(accepted);
  reserve_ = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

}  // namespace sluice::io
