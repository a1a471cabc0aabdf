// What limits must say: each algorithm of `rate_limit` once more, plainly, from what
// docs/policies/rate_limit.md says of it, and several that hold together.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/time.h"

namespace sluice::sim {

/// One limit as a document has it.
struct LimitRule {
  enum class Kind : uint8_t { kGcra, kFixedWindow, kSlidingWindow, kQuota } kind = Kind::kGcra;
  uint64_t count = 1;
  Duration period{};                                                            // of a rate
  uint64_t burst = 1;                                                           // of GCRA
  enum class Unit : uint8_t { kHour, kDay, kWeek, kMonth } unit = Unit::kHour;  // of a quota
  bool in_kolkata = false;  // of a quota: the calendar of a zone five hours and a half ahead, else UTC's

  static LimitRule draw(Random& random, Kind kind);
  /// As the members of a limit.
  std::string text() const;
  /// Of a quota: when the period of `wall` ends.
  WallTime period_end(WallTime wall) const;
};

/// What one caller has used of one limit.
class LimitModel {
 public:
  explicit LimitModel(const LimitRule& rule) : rule_(rule) {}

  const LimitRule& rule() const { return rule_; }
  /// How many requests of cost 1 would be let through now.
  uint64_t room(Instant now, WallTime wall) const;
  bool fits(uint64_t cost, Instant now, WallTime wall) const { return room(now, wall) >= cost; }
  void take(uint64_t cost, Instant now, WallTime wall);
  /// How long until `cost` would fit, when it does not now and nobody else takes any.
  Duration until(uint64_t cost, Instant now, WallTime wall) const;

 private:
  Duration interval() const;  // of GCRA: what one costs
  Duration part() const;      // of a sliding window: a ninth
  uint64_t window(Instant now) const;

  LimitRule rule_;
  Duration full_at_{};                  // GCRA: when the bucket is full again
  std::map<uint64_t, uint64_t> taken_;  // windows: by number; quotas: by the end of their period
};

/// The limits of one policy for one caller: all have room, or nothing is taken.
struct LimitsModel {
  std::vector<LimitModel> limits;
  /// Of a policy with a quota: whether a request may have waited over the end of a period. Then nothing
  /// certain can be said of it.
  bool blurred = false;
  /// When it had too little room for one request of the policy, right after it was taken.
  std::vector<Instant> tight_at;

  /// The first of those that refuse for longest; null: all have room.
  const LimitModel* refusing(uint64_t cost, Instant now, WallTime wall) const;
  void take(uint64_t cost, Instant now, WallTime wall);
  std::vector<uint64_t> rooms(Instant now, WallTime wall) const;
};

}  // namespace sluice::sim
