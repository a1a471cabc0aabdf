#include "io/system_datagram.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <new>

#include "io/socket.h"

namespace sluice::io {

namespace {

/// Bound to every address, so that each datagram must say which one it came to.
bool is_unspecified(const Address& address) {
  return std::ranges::all_of(address.bytes, [](uint8_t byte) { return byte == 0; });
}

/// Which of our addresses a datagram came to; port 0 when that was not told.
Address local_of(msghdr& message, uint16_t port) {
  Address local;
  for (cmsghdr* at = CMSG_FIRSTHDR(&message); at; at = CMSG_NXTHDR(&message, at)) {
    if (at->cmsg_level == IPPROTO_IP && at->cmsg_type == IP_PKTINFO) {
      in_pktinfo info;
      std::memcpy(&info, CMSG_DATA(at), sizeof info);
      std::memcpy(local.bytes.data(), &info.ipi_spec_dst, 4);
      local.port = port;
    } else if (at->cmsg_level == IPPROTO_IPV6 && at->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info;
      std::memcpy(&info, CMSG_DATA(at), sizeof info);
      local.ipv6 = true;
      std::memcpy(local.bytes.data(), &info.ipi6_addr, 16);
      local.port = port;
    }
  }
  return local;
}

/// How much may wait in the kernel; 0: as the system has it.
void keep_waiting(int descriptor, uint32_t most_bytes) {
  if (most_bytes == 0) return;
  int bytes = static_cast<int>(most_bytes);
  setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
}

/// The address that a datagram is to leave from, as a control message at `to`; its length.
size_t write_local(const Address& local, char* to) {
  auto* head = reinterpret_cast<cmsghdr*>(to);
  if (local.ipv6) {
    in6_pktinfo info{};
    std::memcpy(&info.ipi6_addr, local.bytes.data(), 16);
    head->cmsg_level = IPPROTO_IPV6;
    head->cmsg_type = IPV6_PKTINFO;
    head->cmsg_len = CMSG_LEN(sizeof info);
    std::memcpy(CMSG_DATA(head), &info, sizeof info);
    return CMSG_SPACE(sizeof info);
  }
  in_pktinfo info{};
  std::memcpy(&info.ipi_spec_dst, local.bytes.data(), 4);
  head->cmsg_level = IPPROTO_IP;
  head->cmsg_type = IP_PKTINFO;
  head->cmsg_len = CMSG_LEN(sizeof info);
  std::memcpy(CMSG_DATA(head), &info, sizeof info);
  return CMSG_SPACE(sizeof info);
}

}  // namespace

DatagramBatch::DatagramBatch() {
  void* memory =
      mmap(nullptr, kBatch * kSlotBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  memory_ = static_cast<char*>(memory);
}

DatagramBatch::~DatagramBatch() { munmap(memory_, kBatch * kSlotBytes); }

int DatagramBatch::receive(int descriptor) {
  for (size_t i = 0; i < kBatch; ++i) {
    pieces_[i] = {memory_ + i * kSlotBytes, kSlotBytes};
    messages_[i] = {};
    msghdr& message = messages_[i].msg_hdr;
    message.msg_name = peers_[i].get();
    message.msg_namelen = sizeof(sockaddr_in6);
    message.msg_iov = &pieces_[i];
    message.msg_iovlen = 1;
    message.msg_control = controls_[i].bytes;
    message.msg_controllen = sizeof controls_[i].bytes;
  }
  int count;
  do count = recvmmsg(descriptor, messages_.data(), kBatch, MSG_DONTWAIT, nullptr);
  while (count < 0 && errno == EINTR);
  return count;
}

DatagramSocket::Received DatagramBatch::received(int count, uint16_t port) {
  for (size_t i = 0; i < static_cast<size_t>(count); ++i)
    datagrams_[i] = {.peer = peers_[i].address(),
                     .local = local_of(messages_[i].msg_hdr, port),
                     .bytes = {memory_ + i * kSlotBytes, messages_[i].msg_len}};
  return {datagrams_.data(), static_cast<size_t>(count)};
}

SystemDatagramSocket::SystemDatagramSocket(Loop& loop, DatagramBatch& batch, int descriptor, bool connected)
    : loop_(loop),
      batch_(batch),
      descriptor_(descriptor),
      address_(local_address(descriptor)),
      connected_(connected) {}

SystemDatagramSocket::~SystemDatagramSocket() {
  assert(!receiver_);
  close(descriptor_);
}

bool SystemDatagramSocket::try_receive(Result<Received>& result) {
  if (cancelled()) {
    result = fail(ErrorCode::kCancelled);
    return true;
  }
  if (!readable_) return false;
  int count = batch_.receive(descriptor_);
  if (count > 0) {
    if (static_cast<size_t>(count) < kBatch) readable_ = false;
    result = batch_.received(count, address_.port);
    return true;
  }
  if (errno == EAGAIN) {
    readable_ = false;
    return false;
  }
  result = std::unexpected(error_from_errno(errno));
  return true;
}

void SystemDatagramSocket::wait_receive(std::coroutine_handle<> waiter, Result<Received>* result) {
  assert(!receiver_);
  receiver_ = waiter;
  result_ = result;
}

void SystemDatagramSocket::on_input() {
  readable_ = true;
  if (!receiver_ || !try_receive(*result_)) return;
  std::exchange(receiver_, nullptr).resume();
}

void SystemDatagramSocket::on_cancel() {
  if (!receiver_) return;
  *result_ = fail(ErrorCode::kCancelled);
  loop_.ready(std::exchange(receiver_, nullptr));
}

Result<int> SystemDatagramSocket::duplicate() const { return duplicate_descriptor(descriptor_); }

size_t SystemDatagramSocket::send(std::span<const Datagram> datagrams) {
  constexpr size_t kControlBytes = CMSG_SPACE(sizeof(in6_pktinfo));
  mmsghdr messages[kBatch];
  iovec pieces[kBatch];
  SocketAddress peers[kBatch];
  alignas(cmsghdr) char controls[kBatch][kControlBytes];
  size_t sent = 0;
  while (!datagrams.empty()) {
    size_t count = std::min(datagrams.size(), kBatch);
    for (size_t i = 0; i < count; ++i) {
      const Datagram& datagram = datagrams[i];
      pieces[i] = {const_cast<char*>(datagram.bytes.data()), datagram.bytes.size()};
      messages[i] = {};
      msghdr& message = messages[i].msg_hdr;
      message.msg_iov = &pieces[i];
      message.msg_iovlen = 1;
      if (!connected_) {
        peers[i] = SocketAddress(datagram.peer);
        message.msg_name = peers[i].get();
        message.msg_namelen = peers[i].size();
      }
      if (datagram.local.port != 0) {
        message.msg_control = controls[i];
        message.msg_controllen = write_local(datagram.local, controls[i]);
      }
    }
    // An error concerns the first alone, or is an old one of the socket's: the others may be fine.
    for (size_t done = 0; done < count;) {
      int taken = sendmmsg(descriptor_, messages + done, static_cast<unsigned>(count - done), MSG_DONTWAIT);
      if (taken < 0 && (errno == EAGAIN || errno == ENOBUFS)) return sent;
      done += taken < 0 ? 1 : static_cast<size_t>(taken);
      sent += taken < 0 ? 0 : static_cast<size_t>(taken);
    }
    datagrams = datagrams.subspan(count);
  }
  return sent;
}

Result<int> open_datagram_socket(const Address& local, const DatagramOptions& options) {
  if (options.inherited >= 0) {
    keep_waiting(options.inherited, options.waiting_bytes);
    return options.inherited;
  }
  int descriptor = socket(local.ipv6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return std::unexpected(error_from_errno(errno));
  int on = 1;
  if (options.reuse_port) setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  keep_waiting(descriptor, options.waiting_bytes);
  if (!options.remote && is_unspecified(local)) {
    setsockopt(descriptor, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
    if (local.ipv6) setsockopt(descriptor, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
  }
  SocketAddress from(local);
  bool good = bind(descriptor, from.get(), from.size()) == 0;
  if (good && options.remote) {
    SocketAddress to(*options.remote);
    good = connect(descriptor, to.get(), to.size()) == 0;
  }
  if (good) return descriptor;
  Error error = error_from_errno(errno);
  close(descriptor);
  return std::unexpected(error);
}

}  // namespace sluice::io
