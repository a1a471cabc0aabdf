#include "gateway/redis/redis_store.h"

#include "gateway/connection_pool.h"

namespace sluice::gateway {

std::vector<Target> RedisStore::named() const {
  std::vector<Target> named;
  for (const TargetPointer& target : upstream->view().targets) named.push_back(*target);
  return named;
}

Target RedisStore::node(const config::RedisAddress& address) const {
  config::TargetUrl url{.host = address.host, .port = address.port, .base_path = {}};
  TargetTls tls = node_tls;
  if (tls.context && tls.server_name.empty()) tls.server_name = address.host;
  Target target{.identity = targets.find_or_make(upstream->name, url, tls),
                .authority = config::to_text(address),
                .base_path = {}};
  if (target.identity->is_name() && !target.identity->addresses()) targets.resolve_soon();
  return target;
}

void RedisStore::forget_nodes(ConnectionPools& pools) const {
  pools.forget_unused();
  targets.forget_unused();
}

}  // namespace sluice::gateway
