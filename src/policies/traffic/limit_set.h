// LimitSet: limits that hold together for one caller: all of them have room, or nothing is taken from any.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "gateway/exchange.h"
#include "gateway/policy.h"
#include "policies/traffic/limiter.h"

namespace sluice::policies {

/// Immutable; shared by all workers.
class LimitSet {
 public:
  /// `id`: the policy's; its items are named by it, several by `id-1`, `id-2`. `identity`: of the state of
  /// all; `rates_of` joins it for rates.
  LimitSet(gateway::Services& services, std::span<const config::Limit> limits, std::string_view id,
           std::string_view identity, std::string_view rates_of = {});

  /// What an exchange has asked for, in its arena.
  struct Asked {
    const LimitSet* set = nullptr;
    std::span<Limiter::Key> keys;
    std::span<LimitDecision> decisions;
    uint32_t cost = 1;
    bool allowed = false;
  };

  bool empty() const { return limiters_.empty(); }
  Asked* ask(gateway::Exchange& exchange, std::string_view key, uint32_t cost) const;
  /// Takes what was asked for if all allow it; nothing: a quota is to be known first, see `wait`.
  static bool take(Asked& asked, const io::Loop& loop);
  /// True: `take` says so because something is unknown.
  static bool is_unknown(const Asked& asked);
  /// Until all is known, then as `take`.
  static io::Task<> wait(Asked& asked, io::Loop& loop, io::CancelToken& token);
  /// The response has cost more than was asked for.
  static void charge(const Asked& asked, const io::Loop& loop, uint32_t more);

  /// 429, to come again when the limits say.
  static gateway::Step refuse(gateway::Exchange& exchange, const Asked& asked);
  /// `RateLimit-Policy` and `RateLimit`; `legacy`: X-RateLimit-Limit, -Remaining, -Reset as well, of the
  /// limit with the least left.
  static void tell(gateway::Exchange& exchange, const Asked& asked, bool legacy);

 private:
  std::vector<Limiter> limiters_;
};

}  // namespace sluice::policies
