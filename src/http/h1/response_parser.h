// Reads a complete HTTP/1.x response head (RFC 9112) of an upstream into a Response, as strictly as requests
// are read: a response that frames its body in a doubtful way could be passed off as another one.
#pragma once

#include <expected>
#include <string_view>

#include "http/error.h"
#include "http/h1/framing.h"
#include "http/limits.h"
#include "http/message.h"

namespace sluice::http::h1 {

/// What a response head says about this connection alone.
struct ResponseHead {
  /// What follows on the connection. `Response::body` is what the head announces, which for HEAD and 304 is a
  /// length without a byte of it following; it is none for 1xx and 204.
  Framing framing = Framing::kNone;
  bool keep_alive = true;  // the connection can carry another request once the body has been read
};

/// `head` as for `parse_request`; `method` is the one of the request that is answered. Any error has status
/// 502. Removed from the fields: as for requests, with Proxy-Authenticate; `Host` is no field of a response
/// and stays. Several equal `Content-Length` are read as one (RFC 9112, section 6.3), unequal ones are an
/// error.
std::expected<ResponseHead, Error> parse_response(std::string_view head, Method method, const Limits& limits,
                                                  Response& out);

}  // namespace sluice::http::h1
