// The health of a drawn upstream's targets: what its document says of it, the troubles that they get into,
// and what must hold then: nobody is asked who is known not to be well, all come back, one prober asks for
// the whole process.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "traffic_call.h"
#include "violations.h"

namespace sluice::sim {

struct TrafficHealth {
  struct Active {
    bool http = true;  // else only a connection
    Duration interval{};
    Duration timeout{};
    uint32_t healthy = 1;
    uint32_t unhealthy = 1;

    /// After so many probes at the latest, while each says the same.
    Duration known_after(uint32_t probes) const { return probes * (interval * 11 / 10 + timeout); }
  };
  struct Passive {
    uint32_t failures = 1;
    Duration eject_for{};
    bool all = false;         // may be ejected, not only half of them
    bool error_rate = false;  // looked at as well
  };

  static TrafficHealth draw(Random& random);
  /// As a member of an upstream; empty: there is none.
  std::string text() const;

  std::optional<Active> active;
  std::optional<Passive> passive;
  bool panic = false;
};

/// What a target does for a while.
struct Trouble {
  enum class Kind : uint8_t {
    kDown,     // nobody listens, and its connections end
    kSick,     // answers probes with 500, and requests as ever
    kMute,     // does not answer probes at all, and requests as ever
    kFailing,  // answers requests with 503, and probes as ever
  } kind = Kind::kDown;
  size_t target = 0;
  Instant from{};
  Instant until{};

  /// Begins within two seconds of `start`.
  static Trouble draw(Random& random, size_t targets, Instant start);
};

/// What a target has seen of probes.
struct ProbesSeen {
  size_t count = 0;
  Instant first{};
  Instant last{};
};

struct HealthView {
  const TrafficHealth& health;
  const TrafficLedger& ledger;
  const std::vector<Trouble>& troubles;
  std::vector<ProbesSeen> probes;  // by target
  Instant end{};                   // of all probing
  bool calm = false;               // no fault was drawn
  bool behaved = false;            // and nobody did anything wrong, but for troubles
  bool waits = false;              // requests may wait for a connection once their target is chosen
  Duration latency{};
};

void check_health(const HealthView& view, Violations& violations);

}  // namespace sluice::sim
