#include "http/serve.h"

#include "http/h1/server_connection.h"
#include "http/h2/server_connection.h"

namespace sluice::http {

void serve(const Serving& serving, std::unique_ptr<io::Stream> stream, uint16_t listener, Codec codec) {
  if (codec == Codec::kHttp2) {
    h2::ConnectionStart start;
    serving.scope.spawn(h2::serve_connection(serving.loop, std::move(stream), serving.handler, listener,
                                             serving.connections, start));
    return;
  }
  io::TaskScope* http2 = codec == Codec::kEither ? &serving.scope : nullptr;
  serving.scope.spawn(h1::serve_connection(serving.loop, std::move(stream), serving.handler, listener,
                                           serving.connections, http2));
}

}  // namespace sluice::http
