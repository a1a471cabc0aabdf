#include "http/plain_acceptor.h"

namespace sluice::http {

void PlainAcceptor::accepted(std::unique_ptr<io::Stream> stream) {
  serve(serving_, std::move(stream), listener_, codec_);
}

}  // namespace sluice::http
