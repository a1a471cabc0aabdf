// Serves every connection of a listener as cleartext HTTP, each in a coroutine of its own.
#pragma once

#include <memory>

#include "http/connection.h"
#include "http/server.h"
#include "io/accept_loop.h"
#include "io/loop.h"
#include "io/scope.h"

namespace sluice::http {

/// All that it names must outlive it and what it has accepted.
class PlainAcceptor final : public io::Acceptor {
 public:
  PlainAcceptor(io::Loop& loop, RequestHandler& handler, uint16_t listener, Connections& connections,
                io::TaskScope& scope)
      : loop_(loop), handler_(handler), connections_(connections), scope_(scope), listener_(listener) {}

  bool admit(const io::Address& peer) override { return handler_.admit(peer); }
  void accepted(std::unique_ptr<io::Stream> stream) override;
  void shed() override { handler_.count_limit("descriptors"); }

 private:
  io::Loop& loop_;
  RequestHandler& handler_;
  Connections& connections_;
  io::TaskScope& scope_;
  uint16_t listener_;  // its number, for the handler
};

}  // namespace sluice::http
