// A target of a world of traffic features: answers calls as they say, well or badly, and counts who is there.
#pragma once

#include <array>
#include <deque>
#include <memory>

#include "base/random.h"
#include "io/scope.h"
#include "io/sim/sim_world.h"
#include "traffic_call.h"
#include "traffic_pool.h"
#include "violations.h"
#include "wait.h"

namespace sluice::sim {

class TrafficUpstream {
 public:
  /// `number`: among the targets of its upstream, whose calls come by `api` and are counted together.
  TrafficUpstream(io::SimLoop& loop, std::string_view api, size_t number, const io::Address& address,
                  PoolCount& count, bool deeds, TrafficLedger& ledger, Violations& violations)
      : loop_(loop),
        api_(api),
        number_(number),
        address_(address),
        count_(count),
        deeds_(deeds),
        ledger_(ledger),
        violations_(violations) {}

  bool listen();
  /// Accepts no more, and ends what is left.
  void stop() { up_.back().cancel(io::CancelReason::kShed); }
  void begin(Trouble::Kind trouble);
  void end(Trouble::Kind trouble);
  const ProbesSeen& probes() const { return probes_; }
  size_t open() const { return open_; }
  size_t active() const { return scope_.active(); }
  const std::string& api() const { return api_; }
  size_t number() const { return number_; }

 private:
  struct Connection;
  io::Task<> accept_all(std::unique_ptr<io::Listener> listener, io::CancelToken& up);
  io::Task<> serve(std::unique_ptr<io::Stream> stream, io::CancelToken& up);
  bool has(Trouble::Kind trouble) const { return troubles_[static_cast<size_t>(trouble)] > 0; }
  io::Task<> answer_probe(Connection& connection);
  io::Task<bool> serve_one(Connection& connection);
  io::Task<bool> read_more(Connection& connection);
  io::Task<bool> write(Connection& connection, std::string_view bytes);
  io::Task<bool> answer(Connection& connection, TrafficServing& serving, Random& random);

  io::SimLoop& loop_;
  const std::string api_;
  const size_t number_;
  const io::Address address_;
  PoolCount& count_;
  const bool deeds_;
  TrafficLedger& ledger_;
  Violations& violations_;
  std::deque<io::CancelToken> up_;    // of each time that it was up
  std::array<size_t, 4> troubles_{};  // of each kind, that it has just now
  ProbesSeen probes_;
  io::TaskScope scope_;
  size_t open_ = 0;
};

}  // namespace sluice::sim
