// Who the master is, as sentinels say.
#pragma once

#include <expected>
#include <string>

#include "gateway/redis/session.h"

namespace sluice::gateway {

/// Asks the store's sentinels in turn, beginning with the one of that number, which becomes the one that has
/// answered. Each has the store's time to connect. Why not, when none names a master.
io::Task<std::expected<Target, std::string>> find_master(RedisEnvironment environment,
                                                         const RedisStore& store, size_t& first,
                                                         io::CancelToken& token);

}  // namespace sluice::gateway
