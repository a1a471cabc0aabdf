// What a throttle must do with those who come to it, told by probes before and behind it: never more inside
// than it allows, nobody refused while there is room, nobody waiting for a place that is free.
#pragma once

#include <vector>

#include "traffic_call.h"
#include "traffic_document.h"
#include "violations.h"

namespace sluice::sim {

class ThrottleModel {
 public:
  ThrottleModel(const ThrottlePlace& place, Violations& violations)
      : place_(place), violations_(violations) {}

  void come(TrafficCall& call, Instant now);
  /// It is let through.
  void pass(TrafficCall& call, Instant now);
  /// It had been let through, and is over.
  void leave(Instant now);
  /// It is over, whether it was let through or not.
  void end(TrafficCall& call, Instant now);
  /// At the end; `calm`: nothing held anybody up.
  void check(const TrafficLedger& ledger, bool calm) const;
  const ThrottlePlace& place() const { return place_; }

 private:
  void check_refused(const TrafficCall& call) const;
  void check_order(const TrafficCall& call, const TrafficLedger& ledger) const;
  bool was_free(Instant from, Instant until) const;

  const ThrottlePlace& place_;
  Violations& violations_;
  Instant next_{};  // when the next one may pass by the rate
  size_t inside_ = 0;
  size_t outside_ = 0;  // came, and neither passed nor ended yet
  struct Change {
    Instant at;
    size_t inside;
  };
  std::vector<Change> changes_;
};

}  // namespace sluice::sim
