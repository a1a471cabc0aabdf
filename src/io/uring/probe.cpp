#include "io/uring/probe.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "io/uring/buffer_ring.h"
#include "io/uring/ring.h"

namespace sluice::io {

namespace {

constexpr timespec kPatience{.tv_sec = 1, .tv_nsec = 0};

class SocketPair {
 public:
  SocketPair() {
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends_.data()) < 0) ends_ = {-1, -1};
  }
  SocketPair(const SocketPair&) = delete;
  SocketPair& operator=(const SocketPair&) = delete;
  ~SocketPair() {
    for (int end : ends_)
      if (end >= 0) close(end);
  }
  int near() const { return ends_[0]; }
  int far() const { return ends_[1]; }

 private:
  std::array<int, 2> ends_;
};

void receive_again_and_again(Ring& ring, int descriptor) {
  io_uring_sqe& entry = ring.next_submission();
  entry.opcode = IORING_OP_RECV;
  entry.fd = descriptor;
  entry.ioprio = IORING_RECV_MULTISHOT;
  entry.flags = IOSQE_BUFFER_SELECT;
  entry.buf_group = BufferRing::kGroup;
}

}  // namespace

std::expected<void, std::string> probe_uring() {
  SocketPair sockets;
  if (sockets.near() < 0) return std::unexpected("no sockets to try io_uring with");
  BufferRing buffers;
  auto ring = Ring::open();
  if (!ring) return std::unexpected(ring.error());
  auto opened = buffers.open(**ring);
  if (!opened) return opened;

  (*ring)->enable();
  receive_again_and_again(**ring, sockets.near());
  [[maybe_unused]] ssize_t n = write(sockets.far(), "x", 1);
  (*ring)->enter(&kPatience, false);
  io_uring_cqe completion{};
  bool works = (*ring)->pop(completion) && completion.res == 1 && (completion.flags & IORING_CQE_F_BUFFER) &&
               (completion.flags & IORING_CQE_F_MORE);
  if (works) {
    shutdown(sockets.far(), SHUT_WR);  // ends the receive
    (*ring)->enter(&kPatience, false);
  }
  (*ring)->disable();
  if (!works) return std::unexpected("io_uring: multishot receive does not work (Linux 6.0 is needed)");
  return {};
}

}  // namespace sluice::io
