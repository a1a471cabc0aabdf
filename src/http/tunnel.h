// Tunnel: what a connection, or a stream of one, carries once it has left HTTP by an upgrade.
#pragma once

#include "io/task.h"

namespace sluice::http {

/// Made while its exchange is still there, run when the exchange and its memory are gone. Of the server side
/// it may use the stream that `ServerExchange::accept_tunnel` gave, the exchange's loop and its token.
class Tunnel {
 public:
  virtual ~Tunnel() = default;
  /// Until both sides are done with each other. Ends soon after the token was cancelled.
  virtual io::Task<> run() = 0;
};

}  // namespace sluice::http
