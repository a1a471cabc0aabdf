// UDP on a listener: each client address is a session with a target and a socket of its own, until it has
// been silent for long enough. The kernel gives a client always to the same worker.
#pragma once

#include <memory>
#include <unordered_map>

#include "gateway/snapshot.h"
#include "io/cancel.h"
#include "io/datagram.h"
#include "io/scope.h"
#include "io/task.h"

namespace sluice::gateway {

class DatagramSession;
class Worker;

/// Of one worker and one listener.
class DatagramRelay final : private io::Cancellable {
 public:
  /// `settings` may change while it runs; new sessions see that. When `token` is cancelled no new session
  /// begins, and those that there are end once they are silent. With `kHandedOver` nothing more is received
  /// from clients either, for a successor does.
  DatagramRelay(Worker& worker, std::unique_ptr<io::DatagramSocket> socket, const ListenerSettings& settings,
                io::CancelToken& token);
  ~DatagramRelay();

  /// Another descriptor of the socket that clients send to.
  io::Result<int> duplicate_socket() const { return socket_->duplicate(); }
  /// Until the last session has ended after the token was cancelled.
  io::Task<> run();

 private:
  friend class DatagramSession;
  struct Hash {
    uint64_t seed;
    size_t operator()(const io::Address& address) const;
  };

  void on_cancel() override;
  void forward(io::DatagramSocket::Received received);
  /// The client's session, or a new one; null: there can be none.
  DatagramSession* session_of(const io::Datagram& datagram);
  DatagramSession* begin(const io::Datagram& datagram);
  void forget(DatagramSession& session);

  Worker& worker_;
  std::unique_ptr<io::DatagramSocket> socket_;
  const ListenerSettings& settings_;
  const io::CancelToken& token_;
  io::CancelToken socket_token_;
  std::unordered_map<io::Address, DatagramSession*, Hash> sessions_;
  io::TaskScope scope_;
  size_t next_address_ = 0;
  bool draining_ = false;
};

}  // namespace sluice::gateway
