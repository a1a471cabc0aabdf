// One look at a target: whether it accepts a connection, answers a request as it should, or says itself that
// it serves.
#pragma once

#include <expected>
#include <string>

#include "config/balancing.h"
#include "gateway/connection_pool.h"
#include "io/cancel.h"
#include "io/loop.h"

namespace sluice::gateway {

/// Empty, or why the target is not well: a sentence's part for the log.
using ProbeOutcome = std::expected<void, std::string>;

/// Until `settings.timeout` has passed, on a connection of its own unless the target speaks HTTP/2.
/// `target` and `settings` live until it ends.
io::Task<ProbeOutcome> probe(io::Loop& loop, ConnectionPool& pool, const Target& target,
                             const config::ActiveHealth& settings, io::CancelToken& all);

}  // namespace sluice::gateway
