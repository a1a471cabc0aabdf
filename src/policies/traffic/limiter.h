// Limiter: one rate, counted in the process's table, and how it is told to the client in `RateLimit-Policy`
// and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/arena.h"
#include "config/document.h"
#include "gateway/exchange.h"
#include "gateway/policy.h"
#include "store/rate_table.h"

namespace sluice::policies {

class Limiter {
 public:
  /// `name`: of the items of those fields. `identity`: of its state, the same across reloads.
  Limiter(store::RateTable& table, const config::Rate& rate, std::optional<uint64_t> burst,
          config::RateAlgorithm algorithm, std::string_view name, std::string_view identity);

  /// Asks for `cost` in the name of `key`, and takes it if it is there.
  store::RateDecision take(std::string_view key, Instant now, uint32_t cost) const {
    return table_.take(table_.key(identity_, key), rule_, now, cost);
  }
  /// Asks alone.
  store::RateDecision peek(std::string_view key, Instant now, uint32_t cost) const {
    return table_.peek(table_.key(identity_, key), rule_, now, cost);
  }

  /// An item of `RateLimit-Policy`.
  const std::string& policy_item() const { return policy_item_; }
  /// An item of `RateLimit`.
  std::string_view item(const store::RateDecision& decision, Arena& arena) const;

  /// 429, to come again when `decision` says.
  static gateway::Step refuse(gateway::Exchange& exchange, const store::RateDecision& decision);

 private:
  store::RateTable& table_;
  store::RateRule rule_;
  uint64_t identity_;
  std::string quoted_name_;  // as a structured-field string
  std::string policy_item_;
};

/// Decimal, in the arena.
std::string_view number_text(uint64_t value, Arena& arena);

}  // namespace sluice::policies
