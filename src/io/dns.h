// Names to addresses, services to servers: what the gateway asks of a resolver, whichever one answers.
#pragma once

#include <compare>
#include <cstdint>
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

/// One server of a service (RFC 2782).
struct ServiceRecord {
  uint16_t priority = 0;  // the lowest is asked first
  std::string host;       // lower case, without the dot at its end
  uint16_t port = 0;
  uint16_t weight = 0;  // among those of the same priority
  friend auto operator<=>(const ServiceRecord&, const ServiceRecord&) = default;
};

struct ServiceRecords {
  std::vector<ServiceRecord> records;  // at least one; as they came
  Duration ttl{};                      // how long they are good
};

/// Belongs to one loop.
class Resolver {
 public:
  virtual ~Resolver() = default;
  /// IPv4 and IPv6 addresses of `name`. kUnresolved: there are none; kTimedOut: no server answered.
  virtual Task<Result<Resolution>> resolve(std::string name, CancelToken& token) = 0;
  /// The servers of the service `name`. Errors likewise.
  virtual Task<Result<ServiceRecords>> resolve_service(std::string name, CancelToken& token) = 0;
};

}  // namespace sluice::io
