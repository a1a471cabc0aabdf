#include "gateway/connection_pool.h"

#include "io/linked_token.h"
#include "io/sleep.h"

namespace sluice::gateway {

using telemetry::PoolState;

void UpstreamConnection::on_disturbed(bool) {
  // Whatever comes on an idle connection ends it: an end, or bytes that answer nothing.
  if (linked()) pool_.drop(*this);
}

http::ClientExchange& UpstreamConnection::start(const http::Limits& limits, Arena& arena) {
  return http::h1::ClientExchange::start({pool_.loop_, *stream_, *this, reused_}, limits, arena);
}

void UpstreamConnection::on_exchange_end(bool reusable) { pool_.give_back(this, reusable); }

ConnectionPool::ConnectionPool(io::Loop& loop, std::shared_ptr<TargetIdentity> target,
                               telemetry::WorkerMetrics& metrics, const Upstream& upstream)
    : loop_(loop),
      target_(std::move(target)),
      metrics_(metrics),
      gauges_(upstream.metrics.connections),
      full_(upstream.metrics.pool_full),
      idle_time_(upstream.timeouts.idle) {}

ConnectionPool::~ConnectionPool() {
  assert(lent_ == 0);
  close_idle();
  disarm();
}

UpstreamConnection* ConnectionPool::take_idle() {
  while (!idle_.empty()) {
    UpstreamConnection& connection = idle_.front();
    if (connection.stream_->dirty()) {
      drop(connection);
      continue;
    }
    connection.unlink();
    --idle_count_;
    ++lent_;
    metrics_.add(gauges_[PoolState::kIdle], -1);
    metrics_.add(gauges_[PoolState::kActive], 1);
    connection.reused_ = true;
    return &connection;
  }
  return nullptr;
}

io::Task<io::Result<UpstreamConnection*>> ConnectionPool::connect(io::CancelToken& token, Duration timeout) {
  const TargetIdentity::Addresses* published = target_->addresses();
  if (!published || published->empty()) co_return io::fail(io::ErrorCode::kUnresolved);
  TargetIdentity::Addresses addresses = *published;  // the list may be replaced while we wait
  size_t first = next_address_++;
  io::Error error;
  for (size_t i = 0; i < addresses.size(); ++i) {
    io::LinkedToken attempt(token);
    io::Deadline deadline(loop_, loop_.now() + timeout, attempt);
    metrics_.add(gauges_[PoolState::kConnecting], 1);
    auto stream = co_await loop_.connect(addresses[(first + i) % addresses.size()], attempt);
    metrics_.add(gauges_[PoolState::kConnecting], -1);
    if (stream) {
      ++lent_;
      metrics_.add(gauges_[PoolState::kActive], 1);
      auto* connection = new UpstreamConnection(*this, std::move(*stream));
      connection->stream_->observe(connection);
      co_return connection;
    }
    error = stream.error();
    if (token.cancelled()) break;
    if (error.code == io::ErrorCode::kCancelled) error.code = io::ErrorCode::kTimedOut;
  }
  co_return std::unexpected(error);
}

void ConnectionPool::give_back(UpstreamConnection* connection, bool reusable) {
  --lent_;
  metrics_.add(gauges_[PoolState::kActive], -1);
  connection->stream_->unbind();
  bool keep = reusable && idle_time_ > Duration::zero() && !connection->stream_->dirty();
  if (keep && idle_count_ >= kMaxIdle) {
    metrics_.add(full_);
    keep = false;
  }
  if (!keep) {
    delete connection;
    return;
  }
  connection->idle_since_ = loop_.now();
  idle_.push_front(*connection);
  ++idle_count_;
  metrics_.add(gauges_[PoolState::kIdle], 1);
  if (!armed()) loop_.timers().arm(*this, loop_.now() + idle_time_);
}

void ConnectionPool::drop(UpstreamConnection& connection) {
  connection.unlink();
  --idle_count_;
  metrics_.add(gauges_[PoolState::kIdle], -1);
  delete &connection;
}

void ConnectionPool::close_idle() {
  while (!idle_.empty()) drop(idle_.front());
}

void ConnectionPool::on_timer() {
  while (!idle_.empty() && idle_.back().idle_since_ + idle_time_ <= loop_.now()) drop(idle_.back());
  if (!idle_.empty()) loop_.timers().arm(*this, idle_.back().idle_since_ + idle_time_);
}

ConnectionPool& ConnectionPools::of(const Target& target, const Upstream& upstream) {
  uint32_t slot = target.identity->slot;
  if (slot >= pools_.size()) pools_.resize(slot + 1);
  auto& pool = pools_[slot];
  if (!pool) pool = std::make_unique<ConnectionPool>(loop_, target.identity, metrics_, upstream);
  pool->set_idle_time(upstream.timeouts.idle);
  return *pool;
}

void ConnectionPools::forget_unused() {
  for (auto& pool : pools_)
    if (pool && pool->lent() == 0 && pool->target().use_count() == 1) pool.reset();
}

void ConnectionPools::close_idle() {
  for (auto& pool : pools_)
    if (pool) pool->close_idle();
}

}  // namespace sluice::gateway
