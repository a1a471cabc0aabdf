#include "io/sim/sim_faults.h"

#include <algorithm>

#include "base/random.h"

namespace sluice::io {

using namespace std::chrono_literals;

std::string_view fault_name(FaultKind kind) {
  switch (kind) {
    case FaultKind::kLatency:
      return "latency";
    case FaultKind::kJitter:
      return "jitter";
    case FaultKind::kPartialTransfer:
      return "partial_transfer";
    case FaultKind::kFullBuffer:
      return "full_buffer";
    case FaultKind::kReset:
      return "reset";
    case FaultKind::kHalfClose:
      return "half_close";
    case FaultKind::kStall:
      return "stall";
    case FaultKind::kConnectRefused:
      return "connect_refused";
    case FaultKind::kConnectTimeout:
      return "connect_timeout";
    case FaultKind::kAcceptFailure:
      return "accept_failure";
    case FaultKind::kDnsSlow:
      return "dns_slow";
    case FaultKind::kDnsFailure:
      return "dns_failure";
    case FaultKind::kOffloadSlow:
      return "offload_slow";
    case FaultKind::kClockJump:
      return "clock_jump";
    case FaultKind::kNoDescriptors:
      return "no_descriptors";
    case FaultKind::kWorkerStarved:
      return "worker_starved";
  }
  return "unknown";
}

FaultReach fault_reach(FaultKind kind) {
  if (kind <= FaultKind::kFullBuffer) return FaultReach::kNothing;
  return kind < FaultKind::kClockJump ? FaultReach::kConnection : FaultReach::kWorld;
}

namespace {

/// Bounds of what a seed draws for a kind: the chance lies between nothing and `per_million`, with small ones
/// as likely as large ones; so do the magnitudes.
constexpr std::array<SimFault, kFaultKinds> kWorst = {{
    {1'000'000, 50ms, 0},   // latency
    {500'000, 20ms, 0},     // jitter
    {1'000'000, {}, 0},     // partial transfer
    {500'000, {}, 4096},    // full buffer
    {200'000, 10s, 65536},  // reset
    {100'000, {}, 65536},   // half-close
    {100'000, 60s, 65536},  // stall
    {200'000, {}, 0},       // connect refused
    {100'000, {}, 0},       // connect timed out
    {200'000, {}, 0},       // accept failure
    {500'000, 10s, 0},      // slow DNS
    {300'000, {}, 0},       // DNS failure
    {500'000, 2s, 0},       // slow offload
    {50'000, 120s, 0},      // clock jump
    {50'000, 5s, 0},        // no descriptors
    {100'000, 3s, 0},       // worker starved
}};

/// Between a thousandth of `bound` and all of it, each power of two as likely.
uint64_t draw_scale(Random& random, uint64_t bound) {
  return 1 + random.below((bound >> random.below(10)) | 1);
}

}  // namespace

SimFaults SimFaults::draw(uint64_t seed) {
  Random random(seed ^ 0x6661756c7473ULL);  // not the numbers that the world goes on to draw
  SimFaults faults;
  if (random.below(16) == 0) return faults;
  // Few kinds together find what all of them at once hide.
  uint64_t one_in = 1 + random.below(6);
  for (size_t i = 0; i < kFaultKinds; ++i) {
    const SimFault& worst = kWorst[i];
    SimFault drawn{
        static_cast<uint32_t>(draw_scale(random, worst.per_million)),
        Duration(static_cast<int64_t>(draw_scale(random, static_cast<uint64_t>(nanoseconds(worst.up_to))))),
        static_cast<uint32_t>(draw_scale(random, worst.bytes))};
    if (random.below(one_in) == 0) faults.kinds_[i] = drawn;
  }
  return faults;
}

void FaultLog::add(const FaultRecord& fault) {
  ++drawn_[static_cast<size_t>(fault.kind)];
  if (fault_reach(fault.kind) != FaultReach::kNothing) records_.push_back(fault);
}

bool FaultLog::world_harmed(Instant from, Instant until) const {
  return std::ranges::any_of(records_, [&](const FaultRecord& fault) {
    return fault_reach(fault.kind) == FaultReach::kWorld && fault.from <= until && fault.until >= from;
  });
}

bool FaultLog::connection_harmed(const Address& to, Instant from, Instant until) const {
  return std::ranges::any_of(records_, [&](const FaultRecord& fault) {
    return fault_reach(fault.kind) == FaultReach::kConnection && fault.to == to && fault.from <= until &&
           fault.until >= from;
  });
}

}  // namespace sluice::io
