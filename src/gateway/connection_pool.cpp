#include "gateway/connection_pool.h"

#include <fmt/format.h>

#include "io/linked_token.h"
#include "io/sleep.h"
#include "telemetry/process_log.h"

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
void UpstreamConnection::end() { pool_.give_back(this, false); }

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

io::Task<io::Result<std::unique_ptr<io::Stream>>> ConnectionPool::open(io::Address address,
                                                                       io::CancelToken& token,
                                                                       std::string_view preface) {
  auto stream = co_await loop_.connect(address, token);
  if (!stream) co_return stream;
  if (!preface.empty()) {
    (*stream)->bind(token);
    iovec piece{const_cast<char*>(preface.data()), preface.size()};
    auto written = co_await (*stream)->write({&piece, 1});
    if (!written) co_return std::unexpected(written.error());
    (*stream)->unbind();
  }
  if (!target_->tls.context) co_return stream;
  auto secured = co_await secure(std::move(*stream), token);
  co_return secured;
}

io::Task<io::Result<UpstreamConnection*>> ConnectionPool::connect(io::CancelToken& token, Duration timeout,
                                                                  std::string_view preface) {
  const TargetIdentity::Addresses* published = target_->addresses();
  if (!published || published->empty()) co_return io::fail(io::ErrorCode::kUnresolved);
  TargetIdentity::Addresses addresses = *published;  // the list may be replaced while we wait
  size_t first = next_address_++;
  io::Error error;
  for (size_t i = 0; i < addresses.size(); ++i) {
    io::LinkedToken attempt(token);
    io::Deadline deadline(loop_, loop_.now() + timeout, attempt);
    metrics_.add(gauges_[PoolState::kConnecting], 1);
    auto stream = co_await open(addresses[(first + i) % addresses.size()], attempt, preface);
    metrics_.add(gauges_[PoolState::kConnecting], -1);
    if (stream) {
      ++lent_;
      metrics_.add(gauges_[PoolState::kActive], 1);
      auto* connection = new UpstreamConnection(*this, std::move(*stream), !preface.empty());
      connection->stream_->observe(connection);
      co_return connection;
    }
    error = stream.error();
    if (token.cancelled()) break;
    if (error.code == io::ErrorCode::kCancelled) error.code = io::ErrorCode::kTimedOut;
  }
  co_return std::unexpected(error);
}

io::Task<io::Result<std::unique_ptr<io::Stream>>> ConnectionPool::secure(std::unique_ptr<io::Stream> stream,
                                                                         io::CancelToken& token) {
  const TargetTls& tls = target_->tls;
  auto secured = tls.context->connect(loop_, std::move(stream), tls.server_name, sessions_);
  secured->bind(token);
  auto outcome = co_await secured->handshake();
  secured->unbind();
  if (outcome) co_return std::move(secured);
  if (token.cancelled()) co_return io::fail(io::ErrorCode::kCancelled);
  uint64_t suppressed = 0;
  if (log_bound_.allows(loop_.now(), suppressed))
    telemetry::log::warning("upstream target {}:{}: TLS handshake as {} failed: {} ({}){}", target_->host,
                            target_->port, tls.server_name,
                            tls::handshake_failure_text(outcome.error().failure), outcome.error().detail,
                            suppressed ? fmt::format("; {} more like it were not logged", suppressed) : "");
  co_return io::fail(io::ErrorCode::kUnsecured);
}

void ConnectionPool::give_back(UpstreamConnection* connection, bool reusable) {
  --lent_;
  metrics_.add(gauges_[PoolState::kActive], -1);
  connection->stream_->unbind();
  bool keep =
      reusable && !connection->dedicated_ && idle_time_ > Duration::zero() && !connection->stream_->dirty();
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
