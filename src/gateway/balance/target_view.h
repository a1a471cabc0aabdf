// TargetView: which targets of an upstream take requests just now, and in which shares. Immutable; a new one
// takes its place when health changes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/time.h"
#include "gateway/balance/target_load.h"

namespace sluice::gateway {

struct Target;

/// A target as far as its share goes.
struct TargetShare {
  uint32_t weight = 1;  // 0: none
  uint32_t priority = 0;
  bool near = true;  // in our zone, or zones are not told apart
  bool healthy = true;
  Instant healthy_since{};  // that its share may grow from
  uint64_t key = 0;         // its place in a Maglev table: the same for the same target
  uint64_t rank = 0;        // in a subset: who has the lowest ones is in it
};

struct ShareRules {
  double panic = 0;        // share of healthy targets below which all are taken
  Duration slow_start{0};  // 0: none
  bool hashed = false;     // a Maglev table is wanted
  size_t subset = 0;       // how many of a level are used; 0: all
};

/// By number, which a target keeps as long as it is one of its upstream's; null: nobody has that number.
using TargetList = std::vector<std::shared_ptr<const Target>>;

struct TargetView {
  /// One round of smooth weighted round robin: target numbers. Empty: no target takes requests.
  std::vector<uint16_t> schedule;
  /// The same targets, each once, with its weight.
  struct Member {
    uint16_t target;
    uint32_t weight;
  };
  std::vector<Member> members;
  /// Maglev: by hash, modulo its size.
  std::vector<uint16_t> table;
  /// A share grows with time: the view is to be made again soon.
  bool growing = false;
  /// Too few are healthy: all are taken.
  bool panic = false;
  /// By number: those that requests go to, and those whose place they have while they are not healthy. The
  /// others need not be looked after.
  std::vector<bool> wanted;

  /// Whom the numbers stand for, and what they carry.
  TargetList targets;
  std::vector<TargetLoad*> loads;

  bool uses(uint16_t target) const {
    return std::ranges::any_of(members, [&](const Member& member) { return member.target == target; });
  }
};

/// The lowest priority takes all as long as it is healthy enough; what it cannot carry flows over to the next
/// one, as Envoy has it: a level is taken for full while 1 / kOverprovision of it is healthy.
inline constexpr double kOverprovision = 1.4;
std::unique_ptr<TargetView> make_view(std::span<const TargetShare> targets, const ShareRules& rules,
                                      Instant now);

/// One round of smooth weighted round robin (nginx's): every target as often as its weight, spread evenly.
/// Weights are reduced by their common divisor and, beyond kMaxRound turns, scaled down, none to zero.
std::vector<uint16_t> smooth_schedule(std::span<const uint32_t> weights);
inline constexpr size_t kMaxRound = 4096;

/// Maglev hashing (Eisenbud and others, NSDI 2016, section 3.4): `keys` and `weights` of the same targets,
/// at least one with a weight. A target that goes changes few other places.
std::vector<uint16_t> maglev_table(std::span<const uint64_t> keys, std::span<const uint32_t> weights);
/// A prime, a hundred times the targets that shares are to be true for.
inline constexpr size_t kMaglevSize = 16'381;

}  // namespace sluice::gateway
