// The server side of HTTP as a gateway sees it, whatever version carries it: a connection hands over
// exchanges, one coroutine handles each.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "base/arena.h"
#include "http/body.h"
#include "http/exchange_timer.h"
#include "http/limits.h"
#include "http/message.h"
#include "http/tunnel.h"
#include "io/address.h"
#include "io/cancel.h"
#include "io/loop.h"
#include "io/task.h"
#include "tls/connection_security.h"

namespace sluice::http {

/// How a response went out.
enum class SendOutcome : uint8_t {
  kComplete,
  kClientFailed,  // the client left, or took nothing for too long
  kSourceFailed,  // the body broke off: the connection is broken too, so that nobody takes it for whole
};

/// One request and its answer on a connection. Lives until `RequestHandler::handle` returns.
class ServerExchange {
 public:
  Arena& arena;
  Request& request;
  io::Loop& loop;
  io::CancelToken& token;  // cancelled when the client is gone or a deadline has passed
  ExchangeTimer& timer;
  io::Address peer;
  uint16_t listener;                                  // index of the listener that accepted the connection
  const tls::ConnectionSecurity* security = nullptr;  // null: it came in the clear
  Instant began;                                      // when the first byte of the request was seen

  /// Not null: the request could not be read and must be answered with this; the other fields may be empty.
  const Error* refused = nullptr;
  /// The request's body, or null when none comes.
  BodyReader* request_body = nullptr;
  bool expects_continue =
      false;  // the client waits for 100 before it sends its body (RFC 9110, section 10.1.1)
  bool te_trailers = false;
  /// `websocket` when the client asks to leave HTTP for that and may: a GET of HTTP/1.1 without a body, or an
  /// extended CONNECT (RFC 8441), which looks like that GET here. Empty: no upgrade, or one that nobody
  /// knows.
  std::string_view upgrade;
  /// How long the request was at hand before it was begun; nothing where that was not measured.
  std::optional<Duration> queued;
  /// Set by who handles it: after the answer the connection's next request is left alone for so long.
  Duration rest{};
  /// Set by who handles it, after `accept_tunnel`: is run when `handle` has returned.
  std::unique_ptr<Tunnel> tunnel;

  /// The most bytes that `request_body` will give: more is an error with 413.
  virtual void limit_request_body(uint64_t bytes) = 0;
  /// What the client has connected to; costs a system call.
  virtual io::Address local() const = 0;
  /// Bytes of the request that have come, and of the response that have gone out, heads included.
  virtual uint64_t request_bytes() const = 0;
  virtual uint64_t response_bytes() const = 0;

  /// A 1xx other than 101; dropped for HTTP/1.0 clients and once the final response has begun.
  virtual io::Task<void> send_informational(const Response& response) = 0;
  /// The final response, once. `response.body` says how much is coming; framing, `Connection` and `Date` are
  /// added. With a body that breaks off or has another length than announced the connection is broken.
  virtual io::Task<SendOutcome> send(Response& response, Body body, TransferWatch::Bounds bounds) = 0;
  /// Instead of `send`, for an exchange with `upgrade`: agrees to it with `response`, a 101 (RFC 8441: a 200)
  /// and gives the stream of what follows, the bytes that have come already first. It lives as long as
  /// `tunnel` runs; no timeout of the exchange bounds it. Null: the client is gone.
  virtual io::Task<io::Stream*> accept_tunnel(Response& response) = 0;
  /// After the response: whoever still waits for the rest of the request's body is woken with an error,
  /// unless the connection is to be kept and the rest is short.
  virtual void stop_request_body() = 0;
  /// Instead of a response: the connection ends here without a further byte.
  virtual void abandon() = 0;
  bool response_started() const { return response_started_; }
  /// How the final response went out, once `send` has ended.
  SendOutcome outcome() const { return outcome_; }

 protected:
  ServerExchange(Arena& exchange_arena, Request& exchange_request, io::Loop& exchange_loop,
                 io::CancelToken& exchange_token, ExchangeTimer& exchange_timer, io::Address exchange_peer,
                 uint16_t exchange_listener)
      : arena(exchange_arena),
        request(exchange_request),
        loop(exchange_loop),
        token(exchange_token),
        timer(exchange_timer),
        peer(exchange_peer),
        listener(exchange_listener),
        began(exchange_loop.now()) {}
  ~ServerExchange() = default;
  bool response_started_ = false;
  SendOutcome outcome_ = SendOutcome::kComplete;
};

struct ServerTimeouts {
  Duration header = std::chrono::seconds(10);
  Duration body_progress = std::chrono::seconds(10);
  Duration keep_alive = std::chrono::seconds(75);
};

/// What a server connection needs of the gateway. One per worker.
class RequestHandler {
 public:
  /// Asked anew for each request, so that a reload takes effect on connections that stand; valid until the
  /// next wait.
  virtual const Limits& limits() const = 0;
  virtual const ServerTimeouts& timeouts() const = 0;
  /// The text of a `Date` field for now.
  virtual std::string_view date() = 0;
  /// Sends an answer, or abandons. An exception breaks the connection.
  virtual io::Task<void> handle(ServerExchange& exchange) = 0;
  /// A connection has come. False: it is closed at once. Otherwise `release` follows when it has ended.
  virtual bool admit(const io::Address&) { return true; }
  virtual void release(const io::Address&) {}
  /// Connections that come now are drained from their beginning: each may ask once.
  virtual bool draining() const { return false; }
  /// Whether `ServerExchange::queued` is wanted of the request that begins now.
  virtual bool measures_queue() { return false; }
  /// Connections of a listener that came (+1) and went (-1), and those with a request in hand.
  virtual void count_connections(uint16_t listener, int open, int active) = 0;
  /// A bound of the connection's was reached: `descriptors` (one was closed as it came), `request_rest`
  /// (closed over a body that nobody wants), `lingering_close` (more came after the last answer than is
  /// read).
  virtual void count_limit(std::string_view) {}

 protected:
  ~RequestHandler() = default;
};

}  // namespace sluice::http
