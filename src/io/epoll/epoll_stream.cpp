#include "io/epoll/epoll_stream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "io/epoll/socket_address.h"

namespace sluice::io {

Result<std::unique_ptr<EpollStream>> EpollStream::adopt(EpollLoop& loop, int descriptor,
                                                        const Address& peer) {
  int on = 1;
  setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  std::unique_ptr<EpollStream> stream(new EpollStream(loop, descriptor, peer));
  auto watched = loop.watch(descriptor, *stream, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
  if (!watched) return std::unexpected(watched.error());
  return stream;
}

Result<std::unique_ptr<EpollStream>> EpollStream::start_connect(EpollLoop& loop, const Address& address) {
  int descriptor = socket(address.ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return std::unexpected(error_from_errno(errno));
  SocketAddress to(address);
  if (::connect(descriptor, to.get(), to.size()) < 0 && errno != EINPROGRESS) {
    Error error = error_from_errno(errno);
    close(descriptor);
    return std::unexpected(error);
  }
  auto stream = adopt(loop, descriptor, address);
  if (stream) (*stream)->begin_connecting();
  return stream;
}

EpollStream::~EpollStream() {
  static_cast<EpollLoop&>(loop()).forget(*this);
  close(descriptor_);
}

ssize_t EpollStream::receive(char* to, size_t room, Error& error) {
  ssize_t n;
  do n = recv(descriptor_, to, room, 0);
  while (n < 0 && errno == EINTR);
  if (n >= 0) return n;
  if (errno == EAGAIN) return kWouldWait;
  error = error_from_errno(errno);
  return kFailed;
}

bool EpollStream::receivable() {
  char byte;
  ssize_t n = recv(descriptor_, &byte, 1, MSG_PEEK);
  return n >= 0 || errno != EAGAIN;
}

ssize_t EpollStream::transmit(std::span<const iovec> pieces, Error& error) {
  ssize_t n;
  do {
    if (pieces.size() == 1) {
      n = send(descriptor_, pieces[0].iov_base, pieces[0].iov_len, MSG_NOSIGNAL);
    } else {
      msghdr message{};
      message.msg_iov = const_cast<iovec*>(pieces.data());
      message.msg_iovlen = pieces.size();
      n = sendmsg(descriptor_, &message, MSG_NOSIGNAL);
    }
  } while (n < 0 && errno == EINTR);
  if (n >= 0) return n;
  if (errno == EAGAIN) return kWouldWait;
  error = error_from_errno(errno);
  return kFailed;
}

Result<> EpollStream::connect_result() {
  int system = 0;
  socklen_t size = sizeof system;
  getsockopt(descriptor_, SOL_SOCKET, SO_ERROR, &system, &size);
  if (system) return std::unexpected(error_from_errno(system));
  return {};
}

void EpollStream::on_events(uint32_t events) {
  bool broken = events & (EPOLLHUP | EPOLLERR);
  bool hung_up = broken || (events & EPOLLRDHUP);
  on_readiness({.input = hung_up || (events & EPOLLIN),
                .output = broken || (events & EPOLLOUT),
                .hung_up = hung_up,
                .broken = broken});
}

void EpollStream::shutdown_write() { shutdown(descriptor_, SHUT_WR); }

void EpollStream::abort() {
  linger reset{1, 0};
  // No shutdown: its FIN would tell a reader that delimits by the end of the stream that all is well.
  setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
}

}  // namespace sluice::io
