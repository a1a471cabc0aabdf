// A UDP socket of the system, whichever back-end tells when there is something to receive.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <memory>

#include "io/datagram.h"
#include "io/loop.h"
#include "io/socket_address.h"

namespace sluice::io {

/// Where a loop's sockets receive, one after another. The memory is touched only as far as datagrams reach.
class DatagramBatch {
 public:
  DatagramBatch();
  DatagramBatch(const DatagramBatch&) = delete;
  DatagramBatch& operator=(const DatagramBatch&) = delete;
  ~DatagramBatch();

  /// As recvmmsg, without waiting.
  int receive(int descriptor);
  /// Of the first `count`; `port` is the socket's own.
  DatagramSocket::Received received(int count, uint16_t port);

 private:
  static constexpr size_t kBatch = DatagramSocket::kBatch;
  static constexpr size_t kSlotBytes = 64 * 1024;
  union Control {
    cmsghdr head;
    char bytes[CMSG_SPACE(sizeof(in6_pktinfo)) + CMSG_SPACE(sizeof(in_pktinfo))];
  };

  char* memory_;
  std::array<mmsghdr, kBatch> messages_;
  std::array<iovec, kBatch> pieces_;
  std::array<SocketAddress, kBatch> peers_;
  std::array<Control, kBatch> controls_;
  std::array<Datagram, kBatch> datagrams_;
};

class SystemDatagramSocket : public DatagramSocket {
 public:
  ~SystemDatagramSocket() override;

  size_t send(std::span<const Datagram> datagrams) override;
  Address address() const override { return address_; }
  Result<int> duplicate() const override;

 protected:
  /// Takes `descriptor`.
  SystemDatagramSocket(Loop& loop, DatagramBatch& batch, int descriptor, bool connected);
  int descriptor() const { return descriptor_; }
  /// There is something to receive: resumes who waits for it.
  void on_input();

 private:
  bool try_receive(Result<Received>& result) override;
  void wait_receive(std::coroutine_handle<> waiter, Result<Received>* result) override;
  void on_cancel() override;

  Loop& loop_;
  DatagramBatch& batch_;
  int descriptor_;
  Address address_;
  bool connected_;
  bool readable_ = false;
  std::coroutine_handle<> receiver_;
  Result<Received>* result_ = nullptr;
};

/// Bound, and connected when there is an only peer.
Result<int> open_datagram_socket(const Address& local, const DatagramOptions& options);

}  // namespace sluice::io
