// TCP sockets as every back-end on the system makes them: non-blocking, closed on exec.
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <span>

#include "io/address.h"
#include "io/error.h"
#include "io/loop.h"

namespace sluice::io {

/// What may wait in a listener's queue when it ends, and is accepted yet.
inline constexpr int kMostLastAccepts = 4096;

/// Bound and listening.
Result<int> open_listening_socket(const Address& address, ListenOptions options);
/// The next of a listener's queue, which may be of interest to nobody any more: without waiting, and without
/// telling why there is none.
int accept_rest(int listener);
/// Another descriptor of the same socket, closed on exec as all are.
Result<int> duplicate_descriptor(int descriptor);
/// Connecting; the outcome is `connect_outcome` once the socket can be written to.
Result<int> open_connecting_socket(const Address& address);
Result<> connect_outcome(int descriptor);
/// As recv and sendmsg, once more after a signal; they never wait and raise no SIGPIPE.
ssize_t socket_receive(int descriptor, char* to, size_t room);
ssize_t socket_send(int descriptor, std::span<const iovec> pieces);
/// Whether a receive would return bytes, the end or an error.
bool socket_has_input(int descriptor);
/// How long ago the last bytes came in; zero where that is not known.
Duration socket_input_age(int descriptor);
/// Small writes leave at once.
void send_without_delay(int descriptor);
/// Closing `descriptor` resets its connection. No shutdown: its FIN would tell a reader that delimits by the
/// end of the stream that all is well.
void reset_on_close(int descriptor);
Address local_address(int descriptor);
Address peer_address(int descriptor);

/// When descriptors run out, one kept in reserve is given up for a moment, so that a connection that cannot
/// be served is closed at once instead of waiting in the kernel's queue for ever.
class ReserveDescriptor {
 public:
  ReserveDescriptor();
  ReserveDescriptor(const ReserveDescriptor&) = delete;
  ReserveDescriptor& operator=(const ReserveDescriptor&) = delete;
  ~ReserveDescriptor();
  /// Accepts one connection of `listener` and closes it.
  void shed_one(int listener);

 private:
  int reserve_;
};

}  // namespace sluice::io
