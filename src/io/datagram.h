// DatagramSocket: messages from and to many peers on one socket (UDP). Receiving is by the batch and lends
// its buffers; sending never waits, for what a network may lose the gateway need not keep.
#pragma once

#include <coroutine>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "io/address.h"
#include "io/cancel.h"
#include "io/error.h"

namespace sluice::io {

struct Datagram {
  Address peer;  // from whom it came, or to whom it goes
  /// On a socket bound to every address: which one it came to, and from which it is answered. Port 0: not
  /// known.
  Address local = {};
  std::string_view bytes;
};

struct DatagramOptions {
  bool reuse_port = false;        // several loops share the address, the kernel shares peers out
  uint32_t waiting_bytes = 0;     // that may wait in the kernel; 0: as the system has it
  std::optional<Address> remote;  // the only peer
  int inherited = -1;  // a socket that is bound there already and is taken over instead of a new one
};

/// Waits end with kCancelled when the token it is bound to is cancelled. It must not be destroyed while
/// somebody waits on it. Not thread-safe.
class DatagramSocket : public Cancellable {
 public:
  /// Datagrams that one `receive` brings at most, and that one call to the system sends.
  static constexpr size_t kBatch = 16;
  static constexpr size_t kMaxBytes = 65'535;

  virtual ~DatagramSocket() = default;

  using Received = std::span<const Datagram>;
  struct ReceiveAwait {
    DatagramSocket& socket;
    Result<Received> result = Received();
    bool await_ready() { return socket.try_receive(result); }
    void await_suspend(std::coroutine_handle<> waiter) { socket.wait_receive(waiter, &result); }
    Result<Received> await_resume() { return result; }
  };
  /// What has come, one at least. It is gone when anybody on this loop waits or receives. An error (kRefused:
  /// nobody listens at the only peer) does not end the socket.
  ReceiveAwait receive() { return {*this}; }

  /// How many the system took. What it did not is lost; with errors too.
  virtual size_t send(std::span<const Datagram> datagrams) = 0;

  /// Where it is bound; the port is the one given by the system when 0 was asked for.
  virtual Address address() const = 0;
  /// Another descriptor of the same socket, for another process to read from it too.
  virtual Result<int> duplicate() const = 0;

 protected:
  virtual bool try_receive(Result<Received>& result) = 0;
  virtual void wait_receive(std::coroutine_handle<> waiter, Result<Received>* result) = 0;
};

}  // namespace sluice::io
