// Names to addresses: what the gateway asks of a resolver, whichever one answers.
#pragma once

#include <string>
#include <vector>

#include "base/time.h"
#include "io/address.h"
#include "io/cancel.h"
#include "io/error.h"
#include "io/task.h"

namespace sluice::io {

struct Resolution {
  std::vector<Address> addresses;  // at least one, each once, port 0
  Duration ttl{};                  // how long they are good
};

/// Belongs to one loop.
class Resolver {
 public:
  virtual ~Resolver() = default;
  /// IPv4 and IPv6 addresses of `name`. kUnresolved: there are none; kTimedOut: no server answered.
  virtual Task<Result<Resolution>> resolve(std::string name, CancelToken& token) = 0;
};

}  // namespace sluice::io
