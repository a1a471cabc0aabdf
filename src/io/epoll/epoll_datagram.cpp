#include "io/epoll/epoll_datagram.h"

namespace sluice::io {

Result<std::unique_ptr<DatagramSocket>> EpollDatagramSocket::open(EpollLoop& loop, const Address& local,
                                                                  const DatagramOptions& options) {
  auto descriptor = open_datagram_socket(local, options);
  if (!descriptor) return std::unexpected(descriptor.error());
  std::unique_ptr<EpollDatagramSocket> socket(
      new EpollDatagramSocket(loop, loop.datagram_batch(), *descriptor, options.remote.has_value()));
  auto watched = loop.watch(*descriptor, *socket, EPOLLIN);
  if (!watched) return std::unexpected(watched.error());
  return socket;
}

}  // namespace sluice::io
