// LimitSet: limits that hold together for one caller: all of them have room, or nothing is taken from any.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "gateway/exchange.h"
#include "gateway/policy_types.h"
#include "policies/traffic/limiter.h"
#include "policies/traffic/shared_limits.h"

namespace sluice::policies {

/// What the limits of one policy have in common.
struct LimitScope {
  std::string_view id;        // of the policy: names what clients are told, several limits by `id-1`, `id-2`
  std::string_view identity;  // of the state of all limits, the same across reloads and nodes
  std::string_view rates_of;  // joins it for rates
  config::Sharing sharing;
};

/// Immutable; shared by all workers.
class LimitSet {
 public:
  /// The store that `scope.sharing` names must be among `context.stores`.
  LimitSet(const gateway::PolicyContext& context, std::span<const config::Limit> limits,
           const LimitScope& scope);

  /// What an exchange has asked for, in its arena.
  struct Asked {
    const LimitSet* set = nullptr;
    std::string_view key;
    uint32_t cost = 1;
    std::span<Limiter::Key> keys;  // where they are counted here
    std::span<LimitDecision> decisions;
    bool allowed = false;
    bool failed = false;  // a store did not answer, and what is left is not known
  };

  bool empty() const { return limiters_.empty(); }
  /// Takes `cost` of each limit if all allow it. What comes of it, `enforce` says.
  Asked* ask(gateway::Exchange& exchange, std::string_view key, uint32_t cost) const;
  /// Goes on, or answers: 429, to come again when the limits say, and 503 when that is not known and is to be
  /// refused. Waits before that for what must be made durable, or asked of a store. `limited` counts
  /// refusals.
  static gateway::Step enforce(gateway::Exchange& exchange, Asked& asked, telemetry::Counter limited);
  /// The response has cost more than was asked for.
  static void charge(gateway::Exchange& exchange, const Asked& asked, uint32_t more);

  /// `RateLimit-Policy` and `RateLimit`; `legacy`: X-RateLimit-Limit, -Remaining, -Reset as well, of the
  /// limit with the least left.
  static void tell(gateway::Exchange& exchange, const Asked& asked, bool legacy);

 private:
  static bool is_unknown(const Asked& asked);
  static io::Task<gateway::Step> wait_and_enforce(gateway::Exchange& exchange, Asked& asked,
                                                  telemetry::Counter limited);
  static io::Task<> wait(gateway::Exchange& exchange, Asked& asked);
  static gateway::Step refuse(gateway::Exchange& exchange, const Asked& asked);
  void find_keys(gateway::Exchange& exchange, Asked& asked) const;
  static void take(Asked& asked, const io::Loop& loop);
  static io::Task<> wait_here(gateway::Exchange& exchange, Asked& asked);
  void conclude(Asked& asked, SharedLimits::Outcome outcome) const;

  std::vector<Limiter> limiters_;
  std::shared_ptr<const SharedLimits> shared_;  // null: counted here
};

/// That the store exists; for a policy's `build`.
std::expected<void, std::string> check_store(const config::Sharing& sharing,
                                             const gateway::PolicyContext& context);

}  // namespace sluice::policies
