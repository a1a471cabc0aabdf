// Limiter: one limit of rate_limit or of a plan, counted in the process's tables, and how it is told to the
// client in `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "base/arena.h"
#include "base/calendar.h"
#include "config/document.h"
#include "gateway/exchange.h"
#include "gateway/services.h"
#include "store/quotas.h"
#include "store/rate_table.h"
#include "store/window_table.h"

namespace sluice::policies {

/// What a limit says to a request.
struct LimitDecision : store::RateDecision {
  bool unknown = false;  // what is left must be made durable, or borrowed, first
  uint64_t borrow = 0;   // of what is borrowed: how much at once
};

class Limiter {
 public:
  /// `name`: of the items of those fields. `identity`: of its state, the same across reloads; of a quota also
  /// across restarts.
  Limiter(gateway::Services& services, const config::Limit& limit, std::string_view name,
          std::string_view identity);

  bool is_quota() const { return calendar_ != nullptr; }

  /// Whose counter it is, at the time of `loop`.
  struct Key {
    uint64_t first = 0;
    uint64_t second = 0;
    int64_t period_end = 0;  // of a quota
  };
  Key key(std::string_view text, const io::Loop& loop) const;

  /// Asks for `cost`, and takes it if it is there.
  LimitDecision take(const Key& key, const io::Loop& loop, uint32_t cost) const;
  /// Asks alone.
  LimitDecision peek(const Key& key, const io::Loop& loop, uint32_t cost) const;
  /// Takes `cost` as far as it is there.
  void charge(const Key& key, const io::Loop& loop, uint32_t cost) const;
  /// Of a quota: what was taken is not used.
  void give_back(const Key& key, uint32_t cost) const;
  /// Of a quota: until more of it is known.
  io::Task<> await_more(const Key& key, io::Loop& loop, uint32_t cost, io::CancelToken& token) const;

  /// Appends an item of `RateLimit-Policy`, and one of `RateLimit`; each at most `longest_item` bytes.
  char* write_policy(char* to, const io::Loop& loop) const;
  char* write_item(char* to, const LimitDecision& decision) const;
  size_t longest_item() const { return std::max(policy_item_.size(), item_start_.size()) + 2 * 20 + 8; }
  /// Of its rate or quota.
  uint64_t count() const { return count_; }

 private:
  store::QuotaDemand demand(const Key& key, uint32_t cost) const {
    return {{key.first, key.second}, key.period_end, count_, cost};
  }
  LimitDecision decide(const store::QuotaTable::Taken& taken, const io::Loop& loop, uint32_t cost) const;

  gateway::Services& services_;
  uint64_t count_;
  std::variant<store::RateRule, store::WindowRule> rule_;
  std::unique_ptr<Calendar> calendar_;  // of a quota
  uint64_t identity_ = 0;               // of a rate
  std::string quota_identity_;
  std::string policy_item_;  // of a quota without the length of its period
  std::string item_start_;   // its name as a structured-field string, and what comes behind
};

/// Whole seconds, rounded up; a year is as long as any client waits.
uint64_t whole_seconds(Duration duration);
/// Decimal, in the arena.
std::string_view number_text(uint64_t value, Arena& arena);

}  // namespace sluice::policies
