// What may be demanded of a WebSocket on its way. Zero everywhere: no limit.
#pragma once

#include <cstdint>

#include "base/time.h"

namespace sluice::http::websocket {

/// Of one sender.
struct MessageLimits {
  uint64_t max_message = 0;  // bytes of a message, all its frames together, as they are on the wire
  uint64_t rate_count = 0;   // messages, control frames and empty fragments in `rate_period`
  Duration rate_period{};
  bool compression = false;  // both have agreed on RFC 7692; what is compressed is not looked into
};

struct RelayRules {
  Duration idle{};  // without a byte from either side
  Duration max_age{};
  /// What is sent is held to RFC 6455 and to these limits; else it passes as it is.
  bool checked = false;
  /// It is checked and passes all the same; see `Relay::observed`.
  bool dry_run = false;
  MessageLimits of_client;
  MessageLimits of_upstream;
};

}  // namespace sluice::http::websocket
