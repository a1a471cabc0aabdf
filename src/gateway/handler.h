// What a route does with a request that has passed its policies: proxy, respond, redirect...
#pragma once

#include "io/task.h"

namespace sluice::gateway {

class Exchange;

/// Immutable, shared by every exchange of every worker.
class Handler {
 public:
  virtual ~Handler() = default;
  /// Fills `Exchange::response` and awaits `Exchange::respond` exactly once; what the body needs lives in its
  /// frame.
  virtual io::Task<> handle(Exchange& exchange) const = 0;
};

}  // namespace sluice::gateway
