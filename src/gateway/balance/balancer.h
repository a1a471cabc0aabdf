// Balancer: chooses the target of an upstream for each try. Who takes part comes from the view of the moment;
// how is compiled once.
#pragma once

#include <array>
#include <atomic>
#include <optional>

#include "base/random.h"
#include "config/balancing.h"
#include "gateway/balance/target_load.h"
#include "gateway/balance/target_view.h"

namespace sluice::gateway {

/// The targets that a request has been sent to in vain.
class TriedTargets {
 public:
  static constexpr size_t kMost = 16;
  bool has(uint16_t target) const {
    for (size_t i = 0; i < count_; ++i)
      if (targets_[i] == target) return true;
    return false;
  }
  void add(uint16_t target) {
    if (count_ < kMost && !has(target)) targets_[count_++] = target;
  }
  /// All have been tried: the next round.
  void clear() { count_ = 0; }
  size_t size() const { return count_; }

 private:
  std::array<uint16_t, kMost> targets_;
  size_t count_ = 0;
};

/// For whom a target is chosen.
struct BalanceRequest {
  Random& random;
  Instant now{};
  std::optional<uint64_t> hash = std::nullopt;  // of the key that the upstream asks for; absent: it has none
  const TriedTargets* tried = nullptr;          // not taken again while there are others
  std::optional<uint16_t> preferred = std::nullopt;  // taken if it takes requests
};

class Balancer {
 public:
  explicit Balancer(const config::Balance& configured);

  /// The number of a target in `view`; nothing when none takes requests.
  std::optional<uint16_t> choose(const TargetView& view, const BalanceRequest& request) const;

  /// Whether it wants to know how many requests each target has in hand.
  bool counts_requests() const { return counts_; }
  /// Whether it wants to know how fast targets answer.
  bool measures() const { return algorithm_ == config::BalanceAlgorithm::kPeakEwma; }
  const config::HashKey* hash_key() const { return hash_ ? &hash_->key : nullptr; }

 private:
  uint16_t in_turn(const TargetView& view, const BalanceRequest& request) const;
  uint16_t at_random(const TargetView& view, const BalanceRequest& request) const;
  uint16_t least_requests(const TargetView& view, const BalanceRequest& request) const;
  uint16_t better_of_two(const TargetView& view, const BalanceRequest& request) const;
  uint16_t by_hash(const TargetView& view, const BalanceRequest& request) const;
  double cost(const TargetLoad& load, Instant now) const;
  uint64_t places_for(const TargetView& view) const;

  const config::BalanceAlgorithm algorithm_;
  const std::optional<config::HashBalance> hash_;
  const bool counts_;
  alignas(64) mutable std::atomic<uint64_t> turn_{0};
};

}  // namespace sluice::gateway
