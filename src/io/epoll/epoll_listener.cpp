#include "io/epoll/epoll_listener.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "io/epoll/epoll_stream.h"
#include "io/socket_address.h"

namespace sluice::io {

EpollListener::EpollListener(EpollLoop& loop, int descriptor)
    : loop_(loop), descriptor_(descriptor), address_(local_address(descriptor)) {}

EpollListener::~EpollListener() {
  assert(!acceptor_);
  loop_.forget(descriptor_, *this);
  close(descriptor_);
}

Result<std::unique_ptr<Listener>> EpollListener::open(EpollLoop& loop, const Address& address,
                                                      ListenOptions options) {
  auto descriptor = open_listening_socket(address, options);
  if (!descriptor) return std::unexpected(descriptor.error());
  std::unique_ptr<EpollListener> listener(new EpollListener(loop, *descriptor));
  auto watched = loop.watch(*descriptor, *listener, EPOLLIN);
  if (!watched) return std::unexpected(watched.error());
  return listener;
}

bool EpollListener::try_accept(Result<std::unique_ptr<Stream>>& result) {
  if (cancelled()) {
    result = accept_last();
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
      reserve_.shed_one(descriptor_);
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

/// Of what had come before it was cancelled.
Result<std::unique_ptr<Stream>> EpollListener::accept_last() {
  if (last_accepts_ == 0) return fail(ErrorCode::kCancelled);
  int accepted = accept_rest(descriptor_);
  last_accepts_ = accepted < 0 ? 0 : last_accepts_ - 1;
  if (accepted < 0) return fail(ErrorCode::kCancelled);
  return EpollStream::adopt(loop_, accepted, peer_address(accepted));
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
  if (!acceptor_ || !try_accept(*result_)) return;
  loop_.ready(std::exchange(acceptor_, nullptr));
}

}  // namespace sluice::io
