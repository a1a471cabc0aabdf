// What of a request an upstream balances by, as a number.
#pragma once

#include <optional>

#include "config/balancing.h"
#include "gateway/exchange.h"

namespace sluice::handlers {

/// The same on every node. Nothing: the request does not have it.
std::optional<uint64_t> balance_hash(const gateway::Exchange& exchange, const config::HashKey& key);

}  // namespace sluice::handlers
