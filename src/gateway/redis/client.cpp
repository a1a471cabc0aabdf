#include "gateway/redis/client.h"

namespace sluice::gateway {

RedisClient::RedisClient(const RedisEnvironment& environment, std::shared_ptr<const RedisStore> store)
    : metrics_(environment.metrics), loop_(environment.loop), store_(std::move(store)) {
  store_->clients->fetch_add(1, std::memory_order_relaxed);
  if (store_->topology == RedisStore::Topology::kCluster)
    cluster_ = std::make_unique<RedisCluster>(environment, *store_);
  else
    connection_ = std::make_unique<RedisConnection>(environment, *store_);
}

io::Task<RedisAnswer> RedisClient::ask(std::string_view key, std::string command, io::CancelToken& token) {
  const Instant until = loop_.now() + store_->timeout;
  RedisAnswer answer;
  if (cluster_)
    answer = co_await cluster_->ask(key, command, token, until);
  else
    answer = co_await connection_->ask(command, false, token, until);
  using Result = telemetry::StoreResult;
  Result result = answer ? Result::kOk : answer.error();
  if (answer && answer->kind == RedisReply::Kind::kError) result = Result::kError;
  metrics_.add(store_->metrics.requests[result]);
  if (result != telemetry::StoreResult::kOk) metrics_.add(store_->metrics.errors);
  co_return answer;
}

void RedisClient::close() {
  if (cluster_)
    cluster_->close();
  else
    connection_->close();
}

bool RedisClient::is_idle() const { return cluster_ ? cluster_->is_idle() : connection_->is_idle(); }

io::Task<> RedisClient::join() {
  if (cluster_)
    co_await cluster_->join();
  else
    co_await connection_->join();
}

RedisClient& RedisClients::of(const std::shared_ptr<const RedisStore>& store) {
  std::unique_ptr<RedisClient>& client = clients_[store.get()];
  if (!client) client = std::make_unique<RedisClient>(environment_, store);
  return *client;
}

void RedisClients::forget_unused() {
  for (auto each = clients_.begin(); each != clients_.end();) {
    if (!each->second->forgotten()) {
      ++each;
      continue;
    }
    each->second->close();
    closed_.push_back(std::move(each->second));
    each = clients_.erase(each);
  }
  std::erase_if(closed_, [](const auto& client) { return client->is_idle(); });
}

io::Task<> RedisClients::close() {
  for (auto& [store, client] : clients_) {
    client->close();
    closed_.push_back(std::move(client));
  }
  clients_.clear();
  for (auto& client : closed_) co_await client->join();
}

}  // namespace sluice::gateway
