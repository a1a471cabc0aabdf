#include "io/epoll/epoll_stream.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "io/socket.h"

namespace sluice::io {

namespace {
/// Larger sends leave at once, while what they send is in the cache.
constexpr size_t kHeldBytes = 8 * 1024;

size_t bytes_of(std::span<const iovec> pieces) {
  size_t total = 0;
  for (const iovec& piece : pieces) total += piece.iov_len;
  return total;
}
}  // namespace

Result<std::unique_ptr<EpollStream>> EpollStream::adopt(EpollLoop& loop, int descriptor,
                                                        const Address& peer) {
  send_without_delay(descriptor);
  std::unique_ptr<EpollStream> stream(new EpollStream(loop, descriptor, peer));
  auto watched = loop.watch(descriptor, *stream, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
  if (!watched) return std::unexpected(watched.error());
  return stream;
}

Result<std::unique_ptr<EpollStream>> EpollStream::start_connect(EpollLoop& loop, const Address& address) {
  auto descriptor = open_connecting_socket(address);
  if (!descriptor) return std::unexpected(descriptor.error());
  auto stream = adopt(loop, *descriptor, address);
  if (stream) (*stream)->begin_connecting();
  return stream;
}

EpollStream::~EpollStream() {
  static_cast<EpollLoop&>(loop()).forget(descriptor_, *this);
  close(descriptor_);
}

ssize_t EpollStream::receive(char* to, size_t room, Error& error) {
  ssize_t n = socket_receive(descriptor_, to, room);
  if (n >= 0) return n;
  if (errno == EAGAIN) return kWouldWait;
  error = error_from_errno(errno);
  return kFailed;
}

bool EpollStream::receivable() { return socket_has_input(descriptor_); }

ssize_t EpollStream::transmit(std::span<const iovec> pieces, Error& error) {
  auto& epoll = static_cast<EpollLoop&>(loop());
  if (epoll.holds_sends() && bytes_of(pieces) < kHeldBytes) {
    epoll.hold(*this);
    return kWouldWait;
  }
  ssize_t n = socket_send(descriptor_, pieces);
  if (n >= 0) return n;
  if (errno == EAGAIN) return kWouldWait;
  error = error_from_errno(errno);
  return kFailed;
}

Result<> EpollStream::connect_result() { return connect_outcome(descriptor_); }

void EpollStream::on_events(uint32_t events) {
  bool broken = events & (EPOLLHUP | EPOLLERR);
  bool hung_up = broken || (events & EPOLLRDHUP);
  on_readiness({.input = hung_up || (events & EPOLLIN),
                .output = broken || (events & EPOLLOUT),
                .hung_up = hung_up,
                .broken = broken});
}

void EpollStream::shutdown_write() { shutdown(descriptor_, SHUT_WR); }

void EpollStream::abort() { reset_on_close(descriptor_); }

Address EpollStream::local() const { return local_address(descriptor_); }

Duration EpollStream::input_age() const { return socket_input_age(descriptor_); }

}  // namespace sluice::io
