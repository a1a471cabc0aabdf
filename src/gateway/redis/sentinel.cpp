#include "gateway/redis/sentinel.h"

#include <fmt/format.h>

#include "gateway/redis/topology.h"

namespace sluice::gateway {

io::Task<std::expected<Target, std::string>> find_master(RedisEnvironment environment,
                                                         const RedisStore& store, size_t& first,
                                                         io::CancelToken& token) {
  const std::vector<Target> sentinels = store.named();
  const size_t begin = first;
  std::string why;
  for (size_t i = 0; i < sentinels.size() && !token.cancelled(); ++i) {
    const size_t number = (begin + i) % sentinels.size();
    const Target& sentinel = sentinels[number];
    std::string command = redis_command({"SENTINEL", "get-master-addr-by-name", store.master});
    auto reply =
        co_await ask_once(environment, store, sentinel, store.sentinel_login, std::move(command), token);
    if (!reply) {
      why = fmt::format("{}: {}", sentinel.authority, reply.error());
      continue;
    }
    auto master = read_master_address(*reply);
    if (!master) {
      why = fmt::format("{} does not know `{}`", sentinel.authority, store.master);
      continue;
    }
    first = number;
    co_return store.node(*master);
  }
  co_return std::unexpected("no sentinel names the master: " + why);
}

}  // namespace sluice::gateway
