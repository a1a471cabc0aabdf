// A server connection as its owner sees it, whatever version of HTTP it speaks.
#pragma once

#include "base/intrusive_list.h"
#include "io/cancel.h"

namespace sluice::http {

/// In its owner's list for as long as it is served.
class Connection : public ListHook {
 public:
  /// What is in hand is answered and said to be the last; an idle connection ends at once.
  virtual void drain() = 0;
  /// Ends everything now.
  virtual void cancel(io::CancelReason reason) = 0;

 protected:
  ~Connection() = default;
};

using Connections = IntrusiveList<Connection>;

}  // namespace sluice::http
