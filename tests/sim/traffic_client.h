// Clients of a world of traffic features: one call after another, on a connection that is kept.
#pragma once

#include <memory>
#include <vector>

#include "io/sim/sim_world.h"
#include "io/stream.h"
#include "traffic_call.h"
#include "violations.h"

namespace sluice::sim {

struct TrafficClientPlan {
  std::vector<TrafficCall*> calls;
  io::Address to;
  Duration start{};
};

class TrafficClient {
 public:
  TrafficClient(io::SimLoop& loop, const TrafficClientPlan& plan, Violations& violations)
      : loop_(loop), plan_(plan), violations_(violations) {}

  io::Task<> run();
  bool done() const { return done_; }
  io::SimLoop& loop() { return loop_; }

 private:
  io::Task<> make(TrafficCall& call);
  io::Task<> connect();
  io::Task<> ask(TrafficCall& call);
  /// Whether the connection can be used again.
  io::Task<bool> read_answer(TrafficCall& call);

  io::SimLoop& loop_;
  const TrafficClientPlan& plan_;
  Violations& violations_;
  std::unique_ptr<io::Stream> stream_;
  std::string cookie_;
  std::optional<size_t> target_;  // who gave it
  bool done_ = false;
};

}  // namespace sluice::sim
