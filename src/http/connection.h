// A server connection as its owner sees it, whatever version of HTTP it speaks.
#pragma once

#include "base/intrusive_list.h"
#include "base/time.h"
#include "io/cancel.h"

namespace sluice::http {

/// How long a connection that drains waits for a request. Closing at once would lose those that are on their
/// way, of new connections above all: they have come to ask.
inline constexpr Duration kDrainGrace = std::chrono::seconds(1);

/// In its owner's list for as long as it is served.
class Connection : public ListHook {
 public:
  /// What is in hand is answered and said to be the last. An idle connection ends when no request comes for
  /// kDrainGrace: one may be on its way.
  virtual void drain() = 0;
  /// Ends everything now.
  virtual void cancel(io::CancelReason reason) = 0;

 protected:
  ~Connection() = default;
};

using Connections = IntrusiveList<Connection>;

}  // namespace sluice::http
