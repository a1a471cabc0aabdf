// The handshake of a WebSocket over HTTP/1.1 (RFC 6455, section 4), from the middle: the client's side is
// checked before it goes on, the server's before it comes back.
#pragma once

#include <array>
#include <string_view>

#include "base/random.h"
#include "http/error.h"
#include "http/message.h"

namespace sluice::http::websocket {

inline constexpr std::string_view kToken = "websocket";
inline constexpr std::string_view kKeyField = "Sec-WebSocket-Key";
inline constexpr std::string_view kAcceptField = "Sec-WebSocket-Accept";
inline constexpr std::string_view kVersionField = "Sec-WebSocket-Version";
inline constexpr std::string_view kProtocolField = "Sec-WebSocket-Protocol";
inline constexpr std::string_view kExtensionsField = "Sec-WebSocket-Extensions";
inline constexpr std::string_view kVersion = "13";

/// Not version 13: answered with 426 and the version that is spoken (section 4.4).
inline constexpr Error kVersionError{426, "websocket_version", "This WebSocket version is not spoken here.",
                                     false};
inline constexpr Error kKeyError{400, "websocket_key", "Sec-WebSocket-Key is not one of 16 bytes.", false};

/// Null, or why the request cannot become a WebSocket. `keyed`: it must have a key, as over HTTP/1.1.
const Error* check_request(const Request& request, bool keyed);

/// 28 characters: what a server answers to a key.
using Accept = std::array<char, 28>;
Accept accept_of(std::string_view key);
/// 24 characters: 16 random bytes in base64.
using Key = std::array<char, 24>;
Key make_key(Random& random);

/// Whether messages may be compressed from now on (RFC 7692, section 5.1).
bool compresses(const Response& response);
/// Whether a 101 agrees to what was asked: `key`, and no protocol or extension that was not offered.
bool agrees(const Response& response, std::string_view key, const Request& request);

}  // namespace sluice::http::websocket
