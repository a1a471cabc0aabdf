// RedisStore: a Redis server of the configuration, as workers connect to it.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/time.h"
#include "gateway/upstream.h"
#include "telemetry/families.h"

namespace sluice::gateway {

/// Immutable.
struct RedisStore {
  std::string name;
  std::shared_ptr<const Upstream> upstream;  // its one target
  std::string user;                          // empty: `default`
  std::string password;                      // empty: none is sent
  uint32_t database = 0;
  Duration timeout{};  // of a command
  telemetry::StoreMetrics metrics;
};

/// By the names that the document gives them.
using RedisStores = std::map<std::string, std::shared_ptr<const RedisStore>, std::less<>>;

}  // namespace sluice::gateway
