#include "io/uring/uring_datagram.h"

#include <poll.h>

namespace sluice::io {

Result<std::unique_ptr<DatagramSocket>> UringDatagramSocket::open(UringLoop& loop, const Address& local,
                                                                  const DatagramOptions& options) {
  auto descriptor = open_datagram_socket(local, options);
  if (!descriptor) return std::unexpected(descriptor.error());
  return std::unique_ptr<DatagramSocket>(
      new UringDatagramSocket(loop, loop.datagram_batch(), *descriptor, options.remote.has_value()));
}

UringDatagramSocket::UringDatagramSocket(UringLoop& loop, DatagramBatch& batch, int descriptor,
                                         bool connected)
    : SystemDatagramSocket(loop, batch, descriptor, connected), loop_(loop), slot_(loop.add(*this)) {
  poll();
}

void UringDatagramSocket::poll() {
  io_uring_sqe& entry = loop_.prepare(slot_, Operation::kPoll);
  entry.opcode = IORING_OP_POLL_ADD;
  entry.fd = descriptor();
  entry.poll32_events = POLLIN;
  entry.len = IORING_POLL_ADD_MULTI;
}

void UringDatagramSocket::on_completion(Operation, int, uint32_t flags) {
  if (!(flags & IORING_CQE_F_MORE)) poll();  // begins by saying what there is
  on_input();
}

}  // namespace sluice::io
