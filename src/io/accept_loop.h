// Accepts connections for as long as a listener lives and hands each over. A flood on one listener takes no
// more than its share of the loop.
#pragma once

#include <memory>
#include <string_view>

#include "io/loop.h"
#include "io/stream.h"
#include "io/task.h"

namespace sluice::io {

/// Takes over what a listener accepts.
class Acceptor {
 public:
  /// A connection has come. False: it is reset at once.
  virtual bool admit(const Address& peer) = 0;
  /// It was admitted and is the acceptor's now. Never waits.
  virtual void accepted(std::unique_ptr<Stream> stream) = 0;
  /// One was shed as it came, because descriptors have run out.
  virtual void shed() = 0;

 protected:
  ~Acceptor() = default;
};

/// Until `token`, to which `listener` is bound, is cancelled. When descriptors have run out it pauses, so
/// that connections can end.
Task<> accept_connections(Loop& loop, Listener& listener, Acceptor& acceptor, CancelToken& token);

}  // namespace sluice::io
