// Serves every connection of a listener as cleartext HTTP, each in a coroutine of its own.
#pragma once

#include <memory>

#include "http/serve.h"
#include "io/accept_loop.h"

namespace sluice::http {

/// All that it names must outlive it and what it has accepted.
class PlainAcceptor final : public io::Acceptor {
 public:
  PlainAcceptor(io::Loop& loop, RequestHandler& handler, uint16_t listener, Connections& connections,
                io::TaskScope& scope, Codec codec = Codec::kEither)
      : serving_{loop, handler, connections, scope}, listener_(listener), codec_(codec) {}

  bool admit(const io::Address& peer) override { return serving_.handler.admit(peer); }
  void accepted(std::unique_ptr<io::Stream> stream) override;
  void shed() override { serving_.handler.count_limit("descriptors"); }

 private:
  Serving serving_;
  uint16_t listener_;  // its number, for the handler
  Codec codec_;
};

}  // namespace sluice::http
