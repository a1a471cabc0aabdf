#include "http/plain_acceptor.h"

#include "http/h1/server_connection.h"

namespace sluice::http {

void PlainAcceptor::accepted(std::unique_ptr<io::Stream> stream) {
  scope_.spawn(h1::serve_connection(loop_, std::move(stream), handler_, listener_, connections_));
}

}  // namespace sluice::http
