#include "io/epoll/epoll_listener.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "io/epoll/epoll_stream.h"
#include "io/epoll/socket_address.h"

namespace sluice::io {

EpollListener::EpollListener(EpollLoop& loop, int descriptor)
    : loop_(loop), descriptor_(descriptor), reserve_(::open("/dev/null", O_RDONLY | O_CLOEXEC)) {
  SocketAddress bound;
  getsockname(descriptor, bound.get(), bound.size_pointer());
  address_ = bound.address();
}

EpollListener::~EpollListener() {
  assert(!acceptor_);
  loop_.forget(*this);
  close(descriptor_);
  if (reserve_ >= 0) close(reserve_);
}

Result<std::unique_ptr<Listener>> EpollListener::open(EpollLoop& loop, const Address& address,
                                                      ListenOptions options) {
  int descriptor = socket(address.ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return std::unexpected(error_from_errno(errno));
  std::unique_ptr<EpollListener> listener;
  int on = 1;
  setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (options.reuse_port) setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  SocketAddress to(address);
  if (::bind(descriptor, to.get(), to.size()) < 0 || ::listen(descriptor, options.backlog) < 0) {
    Error error = error_from_errno(errno);
    close(descriptor);
    return std::unexpected(error);
  }
  listener.reset(new EpollListener(loop, descriptor));
  auto watched = loop.watch(descriptor, *listener, EPOLLIN);
  if (!watched) return std::unexpected(watched.error());
  return listener;
}

bool EpollListener::try_accept(Result<std::unique_ptr<Stream>>& result) {
  if (cancelled()) {
    result = fail(ErrorCode::kCancelled);
    return true;
  }
  while (readable_) {
    SocketAddress peer;
    int accepted = accept4(descriptor_, peer.get(), peer.size_pointer(), SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (accepted >= 0) {
      auto stream = EpollStream::adopt(loop_, accepted, peer.address());
      if (stream)
        result = std::move(*stream);
      else
        result = std::unexpected(stream.error());
      return true;
    }
    if (errno == EAGAIN) {
      readable_ = false;
      return false;
    }
    if (errno == EMFILE || errno == ENFILE) {
      int system = errno;
      shed_one();
      result = fail(ErrorCode::kNoDescriptors, system);
      return true;
    }
    // accept(2): an error of the connection that was to be accepted, or a signal: the next one may be fine.
    if (errno == EINTR || errno == ECONNABORTED || errno == EPROTO || errno == ENETDOWN ||
        errno == EHOSTUNREACH || errno == ENETUNREACH || errno == EPERM)
      continue;
    result = std::unexpected(error_from_errno(errno));
    return true;
  }
  return false;
}

void EpollListener::shed_one() {
  if (reserve_ >= 0) close(reserve_);
  int accepted = accept4(descriptor_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (accepted >= 0) close(accepted);
  reserve_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
}

void EpollListener::wait_accept(std::coroutine_handle<> waiter, Result<std::unique_ptr<Stream>>* result) {
  assert(!acceptor_);
  acceptor_ = waiter;
  result_ = result;
}

void EpollListener::on_events(uint32_t) {
  readable_ = true;
  if (!acceptor_ || !try_accept(*result_)) return;
  std::exchange(acceptor_, nullptr).resume();
}

void EpollListener::on_cancel() {
  if (!acceptor_) return;
  *result_ = fail(ErrorCode::kCancelled);
  loop_.ready(std::exchange(acceptor_, nullptr));
}

}  // namespace sluice::io
