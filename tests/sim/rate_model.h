// What the rate limiter must say: GCRA written down once more, plainly, from its definition, on the simulated
// clock; and the policy that tells the model when a call stands before a limit.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>

#include "call.h"
#include "document.h"
#include "gateway/policy_types.h"
#include "policies/registry.h"

namespace sluice::sim {

/// A key has a time T at which its bucket is full again. A call of `cost` fits when T, or now if that is
/// later, plus cost * interval is no more than burst * interval ahead of now.
class RateModel {
 public:
  LimitDecision take(const std::string& limit, const Rate& rate, const std::string& key, uint64_t cost,
                     Instant now);

 private:
  std::map<std::pair<std::string, std::string>, Duration> full_at_;
};

/// The gateway's policies, and `sim_probe`, which stands in the chain right before each limit: nothing waits
/// between the two.
class SimPolicies final : public gateway::PolicyTypes {
 public:
  using OnPass = std::function<void(gateway::Exchange& exchange, const std::string& limit)>;
  /// The exchange is over: of probes that ask for it.
  using OnEnd = std::function<void(const gateway::Exchange& exchange, const std::string& limit)>;

  /// There is one run at a time.
  explicit SimPolicies(OnPass on_pass, OnEnd on_end = {});
  ~SimPolicies() override;
  const config::StructBase* find(std::string_view name) const override;
  std::span<const std::string_view> names() const override;
  const gateway::PolicyType* type(std::string_view name) const override;

 private:
  policies::Registry real_;
  OnPass on_pass_;
  OnEnd on_end_;
};

}  // namespace sluice::sim
