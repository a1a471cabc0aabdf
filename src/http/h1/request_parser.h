// Reads a complete HTTP/1.x request head (RFC 9112) into a Request, strictly: what two readers could
// understand in two ways is refused.
#pragma once

#include <cstdint>
#include <expected>
#include <string_view>

#include "http/error.h"
#include "http/h1/framing.h"
#include "http/limits.h"
#include "http/message.h"

namespace sluice::http::h1 {

/// What a request head says about this connection alone; the rest is in the Request.
struct RequestHead {
  Framing framing = Framing::kNone;
  bool keep_alive = true;        // the client can send another request after this one
  bool expect_continue = false;  // `Expect: 100-continue` with a body to come, in HTTP/1.1
  bool te_trailers = false;      // `TE: trailers`
  std::string_view upgrade;      // value of `Upgrade` when `Connection` names it, in HTTP/1.1; else empty
  /// Not null: the framing is sound (`framing`, `body`, `keep_alive` and the fields are set), but the request
  /// must be answered with this error; the connection goes on after its body. Of static storage.
  const Error* refused = nullptr;
};

/// `head` runs from the first byte of the request line to the CRLF CRLF that ends it, as HeadScanner found
/// it, and must live as long as `out`: texts are views of it or live in the arena of `out.fields`. An error
/// always means: answer, then close.
///
/// Taken out of the fields: Host, Content-Length, Transfer-Encoding, Connection, Keep-Alive,
/// Proxy-Connection, TE, Upgrade, HTTP2-Settings, Proxy-Authorization, and unknown fields that `Connection`
/// names. A field of ours that is meant for all recipients (Authorization, Cookie, X-Forwarded-For...) stays
/// even when `Connection` names it (RFC 9110, section 7.6.1 forbids to name it). `Trailer` stays, because
/// trailers are passed on. `Expect` stays when `expect_continue`. A CONNECT request has its target in
/// `authority`, an empty `path` and keep_alive false.
std::expected<RequestHead, Error> parse_request(std::string_view head, const Limits& limits, Request& out);

}  // namespace sluice::http::h1
