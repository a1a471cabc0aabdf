// What can go wrong with a message while it is moved, beyond what the parsers find.
#pragma once

#include "http/error.h"

namespace sluice::http {

/// Its token was cancelled; who cancelled it knows what to answer.
inline constexpr Error kCancelledError{0, "cancelled", "The exchange was cancelled.", true};
/// 499 is never sent, only logged (contract, section 3).
inline constexpr Error kClientGoneError{499, "client_gone", "The client left.", true};
inline constexpr Error kRequestTimeoutError{408, "request_timeout", "The request came too slowly.", true};
inline constexpr Error kRequestTooLargeError{413, "request_too_large",
                                             "The request's body is larger than allowed.", true};
inline constexpr Error kUpstreamResetError{502, "upstream_reset", "The upstream broke the connection.", true};
inline constexpr Error kUpstreamTruncatedError{502, "upstream_truncated",
                                               "The upstream's response ended before it was complete.", true};

}  // namespace sluice::http
