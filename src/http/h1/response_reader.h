// The client side of an HTTP/1.x connection: response heads off a stream. Whoever holds the connection writes
// the request with write_message and reads the body through a StreamBody.
#pragma once

#include <expected>
#include <memory>

#include "base/arena.h"
#include "http/error.h"
#include "http/h1/response_parser.h"
#include "http/limits.h"
#include "http/message.h"
#include "io/stream.h"
#include "io/task.h"

namespace sluice::http::h1 {

/// Reads the next head, an interim one (1xx) too, into `out`; `out` is empty before. Texts live in `arena`.
/// Errors: kCancelledError, kUpstreamResetError (also an end before the first byte), kUpstreamTruncatedError,
/// or what the scanner and the parser found, all with 502.
io::Task<std::expected<ResponseHead, Error>> read_response_head(io::Stream& stream, Method method,
                                                                const Limits& limits, Arena& arena,
                                                                Response& out);

}  // namespace sluice::http::h1
