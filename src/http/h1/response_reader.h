// The client side of an HTTP/1.x connection: response heads off a stream.
#pragma once

#include <expected>

#include "base/arena.h"
#include "http/error.h"
#include "http/h1/response_parser.h"
#include "http/limits.h"
#include "http/message.h"
#include "io/stream.h"
#include "io/task.h"

namespace sluice::http::h1 {

/// Reads the next head, an interim one (1xx) too, into `out`, which is empty before, and what it says of the
/// connection into `head`. Texts live in `arena`. Errors: kCancelledError, kUpstreamResetError (also an end
/// before the first byte), kUpstreamTruncatedError, or what the scanner and the parser found, all with 502.
io::Task<std::expected<void, Error>> read_response_head(io::Stream& stream, Method method,
                                                        const Limits& limits, Arena& arena, Response& out,
                                                        ResponseHead& head);

}  // namespace sluice::http::h1
