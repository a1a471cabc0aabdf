// What goes wrong in a SimWorld: the kinds of faults, how often and how badly each strikes, and the record of
// those that did. Everything is drawn from the world's seed.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "io/address.h"

namespace sluice::io {

enum class FaultKind : uint8_t {
  // The network's moods. They must never change an answer.
  kLatency,          // a connection is far away; `up_to`: one way, drawn once a connection
  kJitter,           // a delivery is late; `up_to`: by how much
  kPartialTransfer,  // a read or a write moves fewer bytes than it could
  kFullBuffer,       // a connection's buffers are small: 1 to `bytes`
  // One connection, at a byte drawn below `bytes` or after a time drawn below `up_to`.
  kReset,           // it breaks, both ways
  kHalfClose,       // one direction ends, as if its writer had said so
  kStall,           // one direction stands still for a time below `up_to`
  kConnectRefused,  // as if nobody listened
  kConnectTimeout,  // connecting waits until it is cancelled
  kAcceptFailure,   // accepting fails, or loses the connection before anybody has it
  // Names and work elsewhere.
  kDnsSlow,      // `up_to`: how long a question takes
  kDnsFailure,   // no server answers, or none knows the name
  kOffloadSlow,  // `up_to`: how long the work takes
  // The whole world, with so much chance in each second.
  kClockJump,      // the machine was suspended; `up_to`: for how long
  kNoDescriptors,  // neither accept nor connect has a descriptor left; `up_to`: for how long
  kWorkerStarved,  // one loop has no turn; `up_to`: for how long
};
inline constexpr size_t kFaultKinds = 16;

/// A stable word for reports: "partial_transfer".
std::string_view fault_name(FaultKind kind);

/// What a fault may change: nothing but time, the connection (or question, or work) that drew it, or
/// everything that was going on.
enum class FaultReach : uint8_t { kNothing, kConnection, kWorld };
FaultReach fault_reach(FaultKind kind);

/// How often one kind strikes where it could, and how hard.
struct SimFault {
  uint32_t per_million = 0;  // the chance each time; of the whole world's kinds: in each second
  Duration up_to{};          // magnitudes are drawn between nothing and this
  uint32_t bytes = 0;
};

/// All zero: a world without faults.
class SimFaults {
 public:
  SimFault& operator[](FaultKind kind) { return kinds_[static_cast<size_t>(kind)]; }
  const SimFault& operator[](FaultKind kind) const { return kinds_[static_cast<size_t>(kind)]; }

  /// Each seed has a mixture of its own: some kinds and not others, some rare and some frequent; one in
  /// sixteen has none.
  static SimFaults draw(uint64_t seed);

 private:
  std::array<SimFault, kFaultKinds> kinds_{};
};

/// Several kinds at once.
class FaultSet {
 public:
  void add(FaultKind kind) { bits_ |= bit(kind); }
  bool has(FaultKind kind) const { return bits_ & bit(kind); }
  bool empty() const { return bits_ == 0; }
  bool operator==(const FaultSet&) const = default;

 private:
  static uint32_t bit(FaultKind kind) { return 1U << static_cast<unsigned>(kind); }
  uint32_t bits_ = 0;
};

/// A fault that struck and may change an answer.
struct FaultRecord {
  FaultKind kind{};
  uint32_t loop = 0;        // where: its index in the world
  uint32_t connection = 0;  // its number; 0: none
  Instant from{};
  Instant until{};  // of a fault that lasts; else `from`
  Address to{};     // of a connection: where it was opened to
};

/// Counts every fault and remembers those that may change an answer.
class FaultLog {
 public:
  void add(const FaultRecord& fault);
  uint64_t drawn(FaultKind kind) const { return drawn_[static_cast<size_t>(kind)]; }
  /// In the order in which they struck; those that harm nobody are not kept.
  const std::vector<FaultRecord>& records() const { return records_; }

  /// Whether one of the whole world's kinds was at work at some time in the span, its ends included.
  bool world_harmed(Instant from, Instant until) const;
  /// Whether a connection opened to `to` was harmed in the span, even if it never came to stand.
  bool connection_harmed(const Address& to, Instant from, Instant until) const;

 private:
  std::array<uint64_t, kFaultKinds> drawn_{};
  std::vector<FaultRecord> records_;
};

}  // namespace sluice::io
