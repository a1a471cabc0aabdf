// What becomes of a connection that a listener has accepted: HTTP at once where that is all that can come, or
// first a look at how it begins, by which it is told whose it is and who serves it, and its TLS handshake.
#pragma once

#include <memory>

#include "gateway/handshake_report.h"
#include "gateway/snapshot.h"
#include "io/accept_loop.h"

namespace sluice::gateway {

class Worker;

class ListenerAcceptor final : public io::Acceptor {
 public:
  /// `settings` may change: connections that come from then on see that.
  ListenerAcceptor(Worker& worker, const ListenerSettings& settings);

  bool admit(const io::Address& peer) override;
  void accepted(std::unique_ptr<io::Stream> stream) override;
  void shed() override;

 private:
  Worker& worker_;
  const ListenerSettings& settings_;
  std::shared_ptr<HandshakeReport> handshakes_;
};

}  // namespace sluice::gateway
