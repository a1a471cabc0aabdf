#include "http/h1/server_connection.h"

#include "http/arena_block.h"
#include "http/h1/server_exchange.h"
#include "http/h2/server_connection.h"
#include "io/sleep.h"

namespace sluice::http::h1 {

namespace {

/// How long and how much is read and thrown away after the last response, so that the client can read that
/// response: closing with unread bytes in the socket would reset the connection (RFC 9112, section 9.6).
constexpr Duration kLingerTime = std::chrono::seconds(2);
constexpr size_t kLingerBytes = 1 << 20;

}  // namespace

ServerConnection::ServerConnection(io::Loop& loop, std::unique_ptr<io::Stream> stream,
                                   RequestHandler& handler, uint16_t listener, io::TaskScope* http2)
    : handler_(handler),
      stream_(std::move(stream)),
      http2_(http2),
      timer_(loop, token_),
      listener_(listener) {
  stream_->bind(token_);
  stream_->observe(this);
  handler_.count_connections(listener_, 1, 0);
}

ServerConnection::~ServerConnection() {
  set_active(false);
  handler_.count_connections(listener_, -1, 0);
  if (stream_) handler_.release(stream_->peer());
}

void ServerConnection::set_active(bool active) {
  if (active != active_) handler_.count_connections(listener_, 0, active ? 1 : -1);
  active_ = active;
}

void ServerConnection::drain() {
  draining_ = true;
  if (!active_) await_request();
}

/// A connection without a request in hand: how long it stays.
void ServerConnection::await_request() {
  timer_.begin(Phase::kKeepAlive, draining_ ? kDrainGrace : handler_.timeouts().keep_alive);
}

void ServerConnection::on_disturbed(bool broken) {
  // An end is no reason to stop: a client may close its side once it has asked (RFC 9112, section 9.6). But
  // an end that comes while an answer without an end stands still is that of a client that has left.
  bool left = open_ended_ && timer_.awaits_source() && stream_->peer_ended();
  if (broken || left) token_.cancel(io::CancelReason::kClientGone);
}

io::Task<bool> ServerConnection::serve_request(bool pipelined) {
  ArenaBlock block;
  Arena arena(block.bytes());
  Request request(arena);
  Http1Exchange exchange(*this, arena, request);
  exchange.queued = queue_delay(pipelined);
  rests_until_ = Instant{};
  auto head = co_await exchange.read_head();
  if (head == Http1Exchange::Head::kNothing) co_return false;
  if (head == Http1Exchange::Head::kHttp2) {
    becomes_http2_ = true;
    co_return false;
  }
  try {
    co_await handler_.handle(exchange);
  } catch (...) {
    exchange.abandon();  // a bug above us: what was sent must not look complete
  }
  if (exchange.tunnel) {
    tunnel_ = std::move(exchange.tunnel);
    co_return false;
  }
  if (exchange.has_rest()) co_await exchange.skip_rest();
  auto next = exchange.finish();
  if (next == Http1Exchange::Next::kLinger) co_await close_lingering();
  if (exchange.rest > Duration::zero()) rests_until_ = loop().now() + exchange.rest;
  co_return next == Http1Exchange::Next::kKeepAlive;
}

void ServerConnection::become_http2(Connections& connections) {
  stream_->observe(nullptr);
  stream_->unbind();
  h2::ConnectionStart start{.received = kHttp2PrefaceHead, .draining = draining_};
  http2_->spawn(h2::serve_connection(loop(), std::move(stream_), handler_, listener_, connections, start));
}

io::Task<> ServerConnection::close_lingering() {
  io::CancelToken token;
  io::Deadline deadline(loop(), loop().now() + kLingerTime, token);
  stream_->bind(token);
  stream_->shutdown_write();
  for (size_t seen = 0; seen < kLingerBytes;) {
    auto lease = co_await stream_->read();
    if (!lease || lease->empty()) break;
    seen += lease->size();
    if (seen >= kLingerBytes) handler_.count_limit("lingering_close");
  }
  stream_->unbind();
}

io::Task<> ServerConnection::rest() {
  auto rested = co_await io::sleep_until(loop(), rests_until_, token_);
  std::ignore = rested;  // cancelled: the wait for the next request ends at once
}

std::optional<Duration> ServerConnection::queue_delay(bool pipelined) const {
  if (!handler_.measures_queue()) return std::nullopt;
  if (!pipelined) return stream_->input_age();
  // It came while its predecessor was in hand: it has waited for that, or for the end of a rest.
  if (rests_until_ == Instant{}) return std::nullopt;
  return loop().now() - rests_until_;
}

// The frame of an idle connection: what would make it larger is in functions of its own.
io::Task<> serve_connection(io::Loop& loop, std::unique_ptr<io::Stream> stream, RequestHandler& handler,
                            uint16_t listener, Connections& connections, io::TaskScope* http2) {
  ServerConnection connection(loop, std::move(stream), handler, listener, http2);
  connections.push_back(connection);
  connection.timer_.begin(Phase::kHead, handler.timeouts().header);
  if (handler.draining()) connection.drain();
  bool first = true;
  for (;;) {
    if (!first) connection.await_request();
    bool pipelined = !first && connection.stream_->dirty();
    auto ready = co_await connection.stream_->readable();
    if (!ready) {
      // A request that has arrived just before the end of the grace is still answered.
      bool arrived = connection.draining_ && connection.timer_.expired() == Phase::kKeepAlive &&
                     connection.stream_->dirty();
      if (!arrived) break;
      connection.token_.reset();
      connection.timer_.reset();
    }
    first = false;
    connection.set_active(true);
    bool again = co_await connection.serve_request(pipelined);
    connection.set_active(connection.tunnel_ != nullptr);
    // The response may have promised to go on before the drain began: then the next one says that it is the
    // last.
    if (!again) break;
    connection.timer_.reset();
    if (connection.rests_until_ != Instant{}) co_await connection.rest();
  }
  if (connection.becomes_http2_) connection.become_http2(connections);
  if (connection.tunnel_) co_await connection.tunnel_->run();
}

}  // namespace sluice::http::h1
