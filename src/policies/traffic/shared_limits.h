// SharedLimits: the limits of a LimitSet as several gateways count them together, in a store. Each request
// asks it (`strict`), or spends what this gateway has borrowed (`lease`).
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/calendar.h"
#include "config/document.h"
#include "gateway/exchange.h"
#include "gateway/redis/limit_script.h"
#include "gateway/redis/redis_store.h"
#include "gateway/services.h"
#include "policies/traffic/limiter.h"
#include "store/lease_table.h"

namespace sluice::policies {

class SharedLimits : public std::enable_shared_from_this<SharedLimits> {
 public:
  /// `identity` of all, `rates_of` joins it for rates: the same on every node.
  SharedLimits(gateway::Services& services, std::shared_ptr<const gateway::RedisStore> store,
               const config::Sharing& sharing, std::span<const config::Limit> limits,
               std::string_view identity, std::string_view rates_of);

  config::StoreFailure on_failure() const { return sharing_.on_store_failure; }
  bool leases() const { return sharing_.mode == config::SharingMode::kLease; }

  /// Whose counters: a hash of the caller.
  using Caller = store::CounterKey;
  Caller caller(std::string_view key) const;

  enum class Outcome : uint8_t { kAllowed, kRefused, kUnknown, kFailed };
  /// Spends what is borrowed; kUnknown: `ask`. `decisions`: one a limit.
  Outcome spend(gateway::Exchange& exchange, const Caller& caller, std::span<LimitDecision> decisions,
                uint32_t cost) const;
  /// Asks the store.
  io::Task<Outcome> ask(gateway::Exchange& exchange, Caller caller, std::span<LimitDecision> decisions,
                        uint32_t cost) const;
  /// Counts `more`, as far as there is room for it, beside the exchange.
  void charge(gateway::Exchange& exchange, const Caller& caller, uint32_t more) const;

 private:
  struct Shared {
    gateway::SharedRule rule;
    uint64_t identity = 0;
    std::unique_ptr<Calendar> calendar;  // of a quota
    /// What is borrowed at once at most: a hundredth, so that five gateways hold no more than 5 %.
    uint64_t most() const { return std::max<uint64_t>(rule.count / 100, 1); }
  };
  static store::CounterKey lease_key(const Caller& caller, const Shared& limit);
  gateway::SharedKey key(const Caller& caller, const Shared& limit, const io::Loop& loop) const;
  io::Task<bool> run(gateway::Worker& worker, std::span<const gateway::SharedRule> rules,
                     std::span<const gateway::SharedKey> keys, uint64_t amount, bool as_much_as_there_is,
                     io::CancelToken& token, std::vector<gateway::SharedDecision>& decisions) const;
  io::Task<bool> borrow(gateway::Worker& worker, size_t number, Caller caller, uint64_t amount,
                        io::CancelToken& token) const;
  io::Task<> charge_beside(gateway::Worker& worker, Caller caller, uint64_t more) const;
  /// Beside the exchange that has seen that little is left.
  io::Task<> borrow_ahead(gateway::Worker& worker, size_t number, Caller caller, uint64_t amount) const;

  gateway::Services& services_;
  const std::shared_ptr<const gateway::RedisStore> store_;
  const config::Sharing sharing_;
  const uint64_t identity_;
  std::vector<Shared> limits_;
};

}  // namespace sluice::policies
