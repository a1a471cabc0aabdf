// Serves a connection, whatever carries it: picks the codec by what was negotiated, or by its first bytes.
#pragma once

#include <cstdint>
#include <memory>

#include "http/connection.h"
#include "http/server.h"
#include "io/loop.h"
#include "io/scope.h"

namespace sluice::http {

/// What the connections of a worker have in common. All that it names outlives them.
struct Serving {
  io::Loop& loop;
  RequestHandler& handler;
  Connections& connections;
  io::TaskScope& scope;
};

enum class Codec : uint8_t {
  kHttp1,
  kHttp2,   // negotiated (ALPN "h2")
  kEither,  // HTTP/1.x, or HTTP/2 when its preface comes first (RFC 9113, section 3.3)
};

/// In a coroutine of its own in the scope; `listener` is its number, for the handler.
void serve(const Serving& serving, std::unique_ptr<io::Stream> stream, uint16_t listener, Codec codec);

}  // namespace sluice::http
