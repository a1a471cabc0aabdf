// An upstream that speaks HTTP/2 in the clear, and does with each try what its draw says.
#pragma once

#include <memory>
#include <vector>

#include "http2_call.h"
#include "io/scope.h"
#include "io/sim/sim_world.h"

namespace sluice::sim {

class Http2Upstream {
 public:
  Http2Upstream(io::SimLoop& loop, const io::Address& address, bool deeds, uint32_t most_streams,
                Http2Ledger& ledger, Violations& violations)
      : loop_(loop),
        address_(address),
        deeds_(deeds),
        most_streams_(most_streams),
        ledger_(ledger),
        violations_(violations) {}

  bool listen();
  void stop();
  size_t open() const { return open_; }
  size_t active() const { return scope_.active(); }

 private:
  class Connection;
  io::Task<> accept_all();
  io::Task<> serve(std::unique_ptr<io::Stream> stream);
  Http2Deed draw_deed(const Http2Call& call, Random& random) const;

  io::SimLoop& loop_;
  io::Address address_;
  bool deeds_;
  uint32_t most_streams_;
  Http2Ledger& ledger_;
  Violations& violations_;
  io::CancelToken accepting_;
  std::vector<io::CancelToken*> tokens_;  // of connections
  std::unique_ptr<io::Listener> listener_;
  io::TaskScope scope_;
  size_t open_ = 0;
};

}  // namespace sluice::sim
