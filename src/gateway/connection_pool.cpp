#include "gateway/connection_pool.h"

#include <fmt/format.h>

#include "io/linked_token.h"
#include "io/sleep.h"
#include "telemetry/process_log.h"

namespace sluice::gateway {

using telemetry::PoolState;

namespace {

/// In ALPN.
constexpr std::string_view kHttp2 = "h2";

}  // namespace

void UpstreamConnection::on_disturbed(bool) {
  // Whatever comes on an idle connection ends it: an end, or bytes that answer nothing.
  if (linked()) pool_.drop(*this);
}

http::ClientExchange& UpstreamConnection::start(const http::ExchangePlace& place) {
  return http::h1::ClientExchange::start({pool_.loop_, *stream_, *this, reused_}, place);
}

void UpstreamConnection::on_exchange_end(bool reusable) { pool_.give_back(this, reusable); }
void UpstreamConnection::end() { pool_.give_back(this, false); }

ConnectionPool::ConnectionPool(const SharedConnections::Environment& environment,
                               std::shared_ptr<TargetIdentity> target, const Upstream& upstream)
    : loop_(environment.loop),
      target_(std::move(target)),
      metrics_(environment.metrics),
      gauges_(upstream.metrics.connections),
      full_(upstream.metrics.pool_full),
      protocol_(upstream.protocol),
      shared_(environment, upstream.metrics),
      scope_(environment.scope) {
  target_->pools.fetch_add(1, std::memory_order_relaxed);
  adopt(upstream);
}

ConnectionPool::~ConnectionPool() {
  assert(!in_use());
  if (member_) budget_->leave(*member_);
  close_idle();
  disarm();
  target_->pools.fetch_sub(1, std::memory_order_relaxed);
}

bool ConnectionPool::forgotten() const {
  return !in_use() && target_.use_count() <= target_->pools.load(std::memory_order_relaxed);
}

void ConnectionPool::adopt(const Upstream& upstream) {
  set_idle_time(upstream.timeouts.idle);
  if (protocol_ != upstream.protocol) close_idle();
  protocol_ = upstream.protocol;
}

void ConnectionPool::adopt_budget(const Upstream& upstream) {
  bounds_ = upstream.bounds.connections;
  // Once it has one it stays: the upstream's name is its targets' for ever.
  if (bounds_.most == 0 || budget_) return;
  budget_ = upstream.load().connections();
  member_ = budget_->join(loop_, *this);
  count_idle(0);
}

// --- the budget ---

io::Task<io::Result<ConnectionPool::Admission>> ConnectionPool::admit(io::CancelToken& token,
                                                                      Duration timeout, bool takes_used) {
  if (!budget_ || bounds_.most == 0) co_return Admission{};
  if (budget_->gate().try_enter(bounds_.most)) co_return Admission{ConnectionPermit(budget_), nullptr};
  store::Gate::Rules rules{
      .most_inside = bounds_.most, .most_waiting = bounds_.pending, .most_wait = timeout};
  Candidate candidate;
  candidate.turn = budget_->gate().queue(loop_, rules, 0);
  if (!candidate.turn) co_return io::fail(io::ErrorCode::kFull);
  budget_->ask_to_spare(*member_);
  if (takes_used) candidates_.push_back(candidate);
  ++waiting_;
  io::LinkedToken patience(token);
  io::Deadline deadline(loop_, loop_.now() + timeout, patience);
  while (!candidate.turn->has_come && !candidate.given && !patience.cancelled())
    co_await candidate.turn->signal.wait(patience);
  --waiting_;
  candidate.unlink();
  bool inside = candidate.turn->has_come || budget_->gate().withdraw(candidate.turn);
  Admission admission{inside ? ConnectionPermit(budget_) : ConnectionPermit(), candidate.given};
  if (inside || candidate.given) co_return std::move(admission);
  co_return io::fail(token.cancelled() ? io::ErrorCode::kCancelled : io::ErrorCode::kFull);
}

void ConnectionPool::spare_one() {
  if (!idle_.empty()) drop(idle_.back());
}

void ConnectionPool::count_idle(int change) {
  idle_count_ += static_cast<size_t>(change);
  if (member_) member_->idle.store(idle_count_, std::memory_order_relaxed);
}

// --- exchanges ---

bool ConnectionPool::may_share(const Wish& wish) const {
  using config::UpstreamProtocol;
  if (!wish.preface.empty()) return false;
  if (protocol_ == UpstreamProtocol::kAuto) return target_->tls.context && !chose_http1_;
  return protocol_ != UpstreamProtocol::kH1;
}

bool ConnectionPool::speaks_http2(const io::Stream& stream) const {
  if (const tls::ConnectionSecurity* security = stream.security()) return security->protocol == kHttp2;
  return protocol_ == config::UpstreamProtocol::kH2c;
}

http::ClientExchange* ConnectionPool::start_at_hand(const http::ExchangePlace& place, bool fresh) {
  if (http::ClientExchange* exchange = shared_.start(place)) return exchange;
  UpstreamConnection* idle = fresh ? nullptr : take_idle();
  return idle ? &idle->start(place) : nullptr;
}

io::Task<io::Result<http::ClientExchange*>> ConnectionPool::start_on_new(http::ExchangePlace place,
                                                                         Duration timeout, Wish wish) {
  if (may_share(wish)) {
    auto started = co_await start_on_shared(place, timeout);
    if (!started || *started) co_return started;
  }
  auto admitted = co_await admit(place.token, timeout, wish.preface.empty());
  if (!admitted) co_return std::unexpected(admitted.error());
  if (admitted->given) co_return &admitted->given->start(place);
  auto stream = co_await open_any(place.token, timeout, wish);
  if (!stream) co_return std::unexpected(stream.error());
  if (!speaks_http2(**stream))
    co_return &lend(std::move(*stream), wish, std::move(admitted->permit)).start(place);
  share(std::move(*stream), place.limits, std::move(admitted->permit));
  http::ClientExchange* exchange = shared_.start(place);
  if (!exchange) co_return io::fail(io::ErrorCode::kReset);
  co_return exchange;
}

io::Task<io::Result<http::ClientExchange*>> ConnectionPool::start_on_shared(http::ExchangePlace place,
                                                                            Duration timeout) {
  Waiter waiter(loop_);
  for (;;) {
    if (http::ClientExchange* exchange = start_at_hand(place, false)) co_return exchange;
    if (waiter.error) co_return std::unexpected(*waiter.error);
    if (place.token.cancelled()) co_return io::fail(io::ErrorCode::kCancelled);
    if (!may_share(Wish{})) co_return nullptr;
    waiter.told = false;
    waiters_.push_back(waiter);
    if (++waiting_ > opening_ * shared_.usual_room()) scope_.spawn(open_shared(timeout, place.limits));
    if (!waiter.told) co_await waiter.signal.wait(place.token);
    waiter.unlink();
    --waiting_;
  }
}

/// Belongs to nobody who waits: it goes on when the request that began it is gone.
io::Task<> ConnectionPool::open_shared(Duration timeout, http::Limits limits) {
  ++opening_;
  const Instant began = loop_.now();
  io::Result<std::unique_ptr<io::Stream>> stream = io::fail(io::ErrorCode::kFull);
  auto admitted = co_await admit(token_, timeout, false);
  if (admitted)
    stream = co_await open_any(token_, timeout, Wish{});
  else
    stream = std::unexpected(admitted.error());
  --opening_;
  if (!stream) {
    // Who came later has not had its time yet.
    size_t left = tell_waiters(stream.error(), token_.cancelled() ? kNever : began);
    if (left > 0) scope_.spawn(open_shared(timeout, limits));
    co_return;
  }
  if (speaks_http2(**stream)) {
    share(std::move(*stream), limits, std::move(admitted->permit));
  } else {
    chose_http1_ = true;
    // For one of those who wait, also where none is kept for later.
    UpstreamConnection& connection = lend(std::move(*stream), Wish{}, std::move(admitted->permit));
    take_back(connection);
    keep(connection);
  }
  tell_waiters();
}

void ConnectionPool::share(std::unique_ptr<io::Stream> stream, const http::Limits& limits,
                           ConnectionPermit permit) {
  chose_http1_ = false;
  std::string_view scheme = stream->security() ? "https" : "http";
  shared_.add(std::move(stream), scheme, limits, std::move(permit));
}

UpstreamConnection& ConnectionPool::lend(std::unique_ptr<io::Stream> stream, const Wish& wish,
                                         ConnectionPermit permit) {
  ++lent_;
  metrics_.add(gauges_[PoolState::kActive], 1);
  auto* connection =
      new UpstreamConnection(*this, std::move(stream), std::move(permit), !wish.preface.empty());
  connection->stream_->observe(connection);
  return *connection;
}

void ConnectionPool::tell_waiters() {
  waiters_.for_each([](Waiter& waiter) {
    waiter.told = true;
    waiter.signal.tell();
  });
}

/// Tells those who have waited since `until` or before, and for whom no other connection is being opened. How
/// many are left of the others for whom none is.
size_t ConnectionPool::tell_waiters(const io::Error& error, Instant until) {
  size_t others = opening_ * shared_.usual_room();
  size_t number = 0;
  size_t left = 0;
  waiters_.for_each([&](Waiter& waiter) {
    if (number++ < others || waiter.told) return;
    if (waiter.since > until) {
      ++left;
      return;
    }
    waiter.error = error;
    waiter.told = true;
    waiter.signal.tell();
  });
  return left;
}

void ConnectionPool::close() {
  token_.cancel(io::CancelReason::kShed);
  close_idle();
}

// --- connections for one exchange at a time ---

UpstreamConnection* ConnectionPool::take_idle() {
  while (!idle_.empty()) {
    UpstreamConnection& connection = idle_.front();
    if (connection.stream_->dirty()) {
      drop(connection);
      continue;
    }
    connection.unlink();
    count_idle(-1);
    ++lent_;
    metrics_.add(gauges_[PoolState::kIdle], -1);
    metrics_.add(gauges_[PoolState::kActive], 1);
    return &connection;
  }
  return nullptr;
}

io::Task<io::Result<UpstreamConnection*>> ConnectionPool::connect(io::CancelToken& token, Duration timeout,
                                                                  Wish wish) {
  auto admitted = co_await admit(token, timeout, false);
  if (!admitted) co_return std::unexpected(admitted.error());
  auto stream = co_await open_any(token, timeout, wish);
  if (!stream) co_return std::unexpected(stream.error());
  co_return &lend(std::move(*stream), wish, std::move(admitted->permit));
}

io::Task<io::Result<std::unique_ptr<io::Stream>>> ConnectionPool::open(io::Address address,
                                                                       io::CancelToken& token, Wish wish) {
  auto stream = co_await loop_.connect(address, token);
  if (!stream) co_return stream;
  if (!wish.preface.empty()) {
    (*stream)->bind(token);
    iovec piece{const_cast<char*>(wish.preface.data()), wish.preface.size()};
    auto written = co_await (*stream)->write({&piece, 1});
    if (!written) co_return std::unexpected(written.error());
    (*stream)->unbind();
  }
  if (!target_->tls.context || wish.as_it_is) co_return stream;
  auto secured = co_await secure(std::move(*stream), token, wish.opaque);
  co_return secured;
}

io::Task<io::Result<std::unique_ptr<io::Stream>>> ConnectionPool::open_any(io::CancelToken& token,
                                                                           Duration timeout, Wish wish) {
  const TargetIdentity::Addresses* published = target_->addresses();
  if (!published || published->empty()) co_return io::fail(io::ErrorCode::kUnresolved);
  TargetIdentity::Addresses addresses = *published;  // the list may be replaced while we wait
  size_t first = next_address_++;
  io::Error error;
  for (size_t i = 0; i < addresses.size(); ++i) {
    io::LinkedToken attempt(token);
    io::Deadline deadline(loop_, loop_.now() + timeout, attempt);
    metrics_.add(gauges_[PoolState::kConnecting], 1);
    auto stream = co_await open(addresses[(first + i) % addresses.size()], attempt, wish);
    metrics_.add(gauges_[PoolState::kConnecting], -1);
    if (stream) co_return std::move(*stream);
    error = stream.error();
    if (token.cancelled()) break;
    if (error.code == io::ErrorCode::kCancelled) error.code = io::ErrorCode::kTimedOut;
  }
  co_return std::unexpected(error);
}

io::Task<io::Result<std::unique_ptr<io::Stream>>> ConnectionPool::secure(std::unique_ptr<io::Stream> stream,
                                                                         io::CancelToken& token,
                                                                         bool opaque) {
  const TargetTls& tls = target_->tls;
  auto secured = tls.context->connect(loop_, std::move(stream), tls.server_name, sessions_);
  if (opaque) secured->offer_no_protocol();
  secured->bind(token);
  auto outcome = co_await secured->handshake();
  secured->unbind();
  bool required = protocol_ == config::UpstreamProtocol::kH2 && !opaque;
  if (outcome && required && secured->security()->protocol != kHttp2)
    outcome = std::unexpected(
        tls::HandshakeError{tls::HandshakeFailure::kProtocol, "the target does not choose HTTP/2"});
  if (outcome) co_return std::move(secured);
  if (token.cancelled()) co_return io::fail(io::ErrorCode::kCancelled);
  log_failure(outcome.error());
  bool disagrees = required && outcome.error().failure == tls::HandshakeFailure::kProtocol;
  co_return io::fail(disagrees ? io::ErrorCode::kProtocol : io::ErrorCode::kUnsecured);
}

void ConnectionPool::log_failure(const tls::HandshakeError& error) {
  uint64_t suppressed = 0;
  if (!log_bound_.allows(loop_.now(), suppressed)) return;
  telemetry::log::warning("upstream target {}:{}: TLS handshake as {} failed: {} ({}){}", target_->host,
                          target_->port, target_->tls.server_name, tls::handshake_failure_text(error.failure),
                          error.detail,
                          suppressed ? fmt::format("; {} more like it were not logged", suppressed) : "");
}

void ConnectionPool::give_back(UpstreamConnection* connection, bool reusable) {
  take_back(*connection);
  // The upstream may have changed to h2c meanwhile.
  bool kept = reusable && !connection->dedicated_ && idle_time_ > Duration::zero() &&
              protocol_ != config::UpstreamProtocol::kH2c && !connection->stream_->dirty();
  if (kept && idle_count_ >= kMaxIdle) {
    metrics_.add(full_);
    kept = false;
  }
  // Who waits here goes on with it; who waits elsewhere needs its place.
  bool wanted_elsewhere = budget_ && candidates_.empty() && budget_->gate().waiting() > 0;
  if (!kept || wanted_elsewhere) {
    delete connection;
    return;
  }
  connection->reused_ = true;
  if (candidates_.empty()) return keep(*connection);
  Candidate& first = candidates_.front();
  first.unlink();
  ++lent_;
  metrics_.add(gauges_[PoolState::kActive], 1);
  first.given = connection;
  first.turn->signal.tell();
}

void ConnectionPool::take_back(UpstreamConnection& connection) {
  --lent_;
  metrics_.add(gauges_[PoolState::kActive], -1);
  connection.stream_->unbind();
}

void ConnectionPool::keep(UpstreamConnection& connection) {
  connection.idle_since_ = loop_.now();
  idle_.push_front(connection);
  count_idle(1);
  metrics_.add(gauges_[PoolState::kIdle], 1);
  if (!armed()) loop_.timers().arm(*this, loop_.now() + idle_time_);
}

void ConnectionPool::drop(UpstreamConnection& connection) {
  connection.unlink();
  count_idle(-1);
  metrics_.add(gauges_[PoolState::kIdle], -1);
  delete &connection;
}

void ConnectionPool::close_idle() {
  while (!idle_.empty()) drop(idle_.front());
  shared_.close();
}

void ConnectionPool::on_timer() {
  while (!idle_.empty() && idle_.back().idle_since_ + idle_time_ <= loop_.now()) drop(idle_.back());
  if (!idle_.empty()) loop_.timers().arm(*this, idle_.back().idle_since_ + idle_time_);
}

ConnectionPool& ConnectionPools::of(const Target& target, const Upstream& upstream) {
  uint32_t slot = target.identity->slot;
  if (slot >= pools_.size()) pools_.resize(slot + 1);
  auto& pool = pools_[slot];
  if (!pool) pool = std::make_unique<ConnectionPool>(environment_, target.identity, upstream);
  pool->adopt(upstream);
  pool->adopt_budget(upstream);
  return *pool;
}

void ConnectionPools::forget_unused() {
  for (auto& pool : pools_)
    if (pool && pool->forgotten()) pool.reset();
}

io::Task<> ConnectionPools::close() {
  for (auto& pool : pools_)
    if (pool) pool->close();
  co_await scope_.join();
}

}  // namespace sluice::gateway
