// How the body of an HTTP/1.x message is marked off on the connection (RFC 9112, section 6.3).
#pragma once

#include <cstdint>

namespace sluice::http::h1 {

enum class Framing : uint8_t {
  kNone,        // no byte of a body follows the head
  kLength,      // `body.bytes` bytes follow
  kChunked,     // read through a ChunkedDecoder
  kUntilClose,  // everything until the stream ends; responses only
};

/// Whose message is being read: it decides which limits count and which status an error carries.
enum class Side : uint8_t { kRequest, kResponse };

}  // namespace sluice::http::h1
