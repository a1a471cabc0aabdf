// What must have become of the calls of a world of traffic features.
#pragma once

#include <map>
#include <string>

#include "limit_model.h"
#include "traffic_call.h"
#include "traffic_document.h"
#include "violations.h"

namespace sluice::sim {

/// The limits of a document, told by probes who comes to them and who is let through.
class LimitsChecker {
 public:
  LimitsChecker(const TrafficDocument& document, TrafficLedger& ledger, Violations& violations)
      : document_(document), ledger_(ledger), violations_(violations) {}

  void come(TrafficCall& call, Instant now, WallTime wall);
  /// Of limits with a quota, which may wait for what must be made durable.
  void pass(TrafficCall& call, Instant now, WallTime wall);
  /// At the end; `calm`: nothing held anybody up.
  void check(bool calm);

 private:
  struct Caller {
    LimitsModel model;
    WallTime period_end{};
  };
  const LimitPlace* place_of(const TrafficCall& call) const;
  Caller& caller_of(const TrafficCall& call, const LimitPlace& place);
  static WallTime quota_end(const LimitPlace& place, WallTime wall);
  void check_verdict(const TrafficCall& call, const LimitPlace& place);
  void check_waited(const TrafficCall& call, const LimitPlace& place);

  const TrafficDocument& document_;
  TrafficLedger& ledger_;
  Violations& violations_;
  std::map<std::pair<std::string, std::string>, Caller> callers_;
  std::map<uint32_t, WallTime> came_in_;  // which period; by call
};

struct TrafficView {
  const TrafficDocument& document;
  const TrafficLedger& ledger;
  bool calm;  // no fault was drawn
  bool upstream_deeds;
  bool troubled;  // targets had troubles
};

/// The answers, against those who gave them.
void check_traffic(const TrafficView& view, Violations& violations);
/// A line a call, and one for each of its tries.
std::string describe_traffic(const TrafficLedger& ledger);

}  // namespace sluice::sim
