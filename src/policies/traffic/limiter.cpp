#include "policies/traffic/limiter.h"

#include <fmt/format.h>

#include <charconv>

#include "base/hash.h"

namespace sluice::policies {

namespace {

constexpr gateway::Refusal kTooMany{429, "rate_limited", "Too many requests; try again later."};

/// A year is as long as any client waits; what takes longer is told as that.
uint64_t whole_seconds(Duration duration) {
  constexpr auto kLongest = std::chrono::hours(24 * 366);
  Duration bounded = std::min<Duration>(duration, kLongest);
  return static_cast<uint64_t>(std::chrono::ceil<std::chrono::seconds>(bounded).count());
}

store::RateRule rule_of(const config::Rate& rate, std::optional<uint64_t> burst,
                        config::RateAlgorithm algorithm) {
  if (algorithm == config::RateAlgorithm::kFixedWindow)
    return store::RateRule::fixed_window(rate.count, rate.period);
  return store::RateRule::of(rate.count, rate.period, burst.value_or(rate.count));
}

}  // namespace

std::string_view number_text(uint64_t value, Arena& arena) {
  char* to = arena.allocate_chars(20);
  return {to, static_cast<size_t>(std::to_chars(to, to + 20, value).ptr - to)};
}

Limiter::Limiter(store::RateTable& table, const config::Rate& rate, std::optional<uint64_t> burst,
                 config::RateAlgorithm algorithm, std::string_view name, std::string_view identity)
    : table_(table),
      rule_(rule_of(rate, burst, algorithm)),
      // What is kept means something at one rate only.
      identity_(hash64(fmt::format("{} {} {} {}", identity, rule_.interval.count(), rule_.tolerance.count(),
                                   rule_.window.count()))),
      quoted_name_(fmt::format("\"{}\"", name)),
      policy_item_(fmt::format("{};q={};w={}", quoted_name_, rate.count, whole_seconds(rate.period))) {}

std::string_view Limiter::item(const store::RateDecision& decision, Arena& arena) const {
  return arena.concat(quoted_name_, ";r=", number_text(decision.remaining, arena),
                      ";t=", number_text(whole_seconds(decision.reset_after), arena));
}

gateway::Step Limiter::refuse(gateway::Exchange& exchange, const store::RateDecision& decision) {
  gateway::Step refused = exchange.refuse(kTooMany);
  uint64_t seconds = std::max<uint64_t>(1, whole_seconds(decision.retry_after));
  exchange.response.fields.add(http::FieldName::kRetryAfter, number_text(seconds, exchange.arena));
  return refused;
}

}  // namespace sluice::policies
