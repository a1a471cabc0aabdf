// What limits that several gateways share say to Redis: one script that decides by the server's clock, at
// once for all limits of a request, and changes nothing unless all of them allow it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "gateway/redis/reply.h"

namespace sluice::gateway {

/// One limit, as the script counts it; the same algorithms as those of store/.
struct SharedRule {
  enum class Kind : char { kGcra = 'g', kFixedWindow = 'f', kSlidingWindow = 's', kQuota = 'q' };
  Kind kind = Kind::kGcra;
  uint64_t count = 1;  // of the period
  Duration period{};   // not of kQuota
  uint64_t burst = 1;  // of kGcra
};

struct SharedDecision {
  uint64_t taken = 0;  // 0: refused
  uint64_t remaining = 0;
  Duration reset_after{};
  Duration retry_after{};  // Duration::max(): it never fits
};

/// A key of one limit; `period_end` of a quota, in seconds since 1970.
struct SharedKey {
  std::string name;
  int64_t period_end = 0;
};

/// Takes `cost` of each, or nothing; `as_much_as_there_is`: of each up to `cost`. The keys of one command
/// must have a hash tag in common (Redis Cluster). `whole`: with the script's text, for a server that does
/// not know it.
std::string limit_command(std::span<const SharedRule> rules, std::span<const SharedKey> keys, uint64_t cost,
                          bool as_much_as_there_is, bool whole);
/// Nothing: it is no answer to that command.
std::optional<std::vector<SharedDecision>> read_decisions(const RedisReply& reply, size_t count);
/// The server has not seen the script yet.
bool is_unknown_script(const RedisReply& reply);

}  // namespace sluice::gateway
