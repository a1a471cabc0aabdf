// An upstream of several targets as a world of traffic features draws it: how they are balanced, tried again
// and bounded; and what must hold of the calls that went there.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "traffic_call.h"
#include "traffic_health.h"
#include "violations.h"

namespace sluice::sim {

struct TrafficPool {
  static constexpr std::string_view kApi = "pool";
  static constexpr uint16_t kPort = 9500;
  static constexpr Duration kConnect = std::chrono::seconds(1);

  struct Target {
    uint32_t weight = 1;
    uint32_t priority = 0;
  };
  enum class Balance : uint8_t { kRoundRobin, kLeastRequests, kRandom, kP2c, kPeakEwma, kHash };

  static TrafficPool draw(Random& random);
  /// As an entry of `upstreams`; `idle_ms`: how long connections are kept.
  std::string text(int64_t idle_ms) const;
  static std::string ip(size_t target);
  /// How many calls at once none of which is refused.
  size_t most_calls() const;

  std::vector<Target> targets;
  Balance balance = Balance::kRoundRobin;
  bool sticky = false;
  bool bounded_load = false;
  Duration slow_start{};
  uint32_t attempts = 2;
  bool retry_reset = true;
  bool retry_timeout = false;
  bool retry_503 = false;
  std::optional<uint32_t> max_connections, max_requests, max_retries;
  uint32_t max_pending = 1024;
  TrafficHealth health;
};

/// Who is at the targets of an upstream, all together.
class PoolCount {
 public:
  /// `most`: connections that there may be; 0: any number.
  explicit PoolCount(uint32_t most) : most_(most) {}

  void enter() { most_requests_ = std::max(most_requests_, ++requests_); }
  void leave() { --requests_; }
  void connect(Instant now);
  void disconnect(Instant now);
  size_t most_requests() const { return most_requests_; }
  /// Whether there were too many connections for longer than it takes to see that one has ended.
  bool was_over() const { return was_over_; }

 private:
  const uint32_t most_;
  size_t requests_ = 0;
  size_t most_requests_ = 0;
  size_t connections_ = 0;
  Instant over_since_ = kNever;
  bool was_over_ = false;
};

/// What a world was like, as far as its upstream's calls go.
struct PoolView {
  const TrafficPool& pool;
  const TrafficLedger& ledger;
  const PoolCount& count;
  bool calm = false;      // no fault was drawn
  bool behaved = false;   // and nobody did anything wrong, but for troubles
  bool steady = false;    // and there were none
  bool troubled = false;  // targets had troubles
  Duration latency{};
  size_t reloads = 0;
};

void check_pool(const PoolView& view, Violations& violations);

}  // namespace sluice::sim
