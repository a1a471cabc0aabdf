// The server side of an HTTP/1.x connection (RFC 9112): requests one after another, each given to a
// RequestHandler.
#pragma once

#include <memory>
#include <optional>

#include "http/connection.h"
#include "http/exchange_timer.h"
#include "http/server.h"
#include "io/cancel.h"
#include "io/loop.h"
#include "io/scope.h"
#include "io/stream.h"

namespace sluice::http::h1 {

/// What stays of a connection while it idles; one request at a time lives in a coroutine of its own.
class ServerConnection final : public Connection, private io::Stream::Observer {
 public:
  ServerConnection(io::Loop& loop, std::unique_ptr<io::Stream> stream, RequestHandler& handler,
                   uint16_t listener, io::TaskScope* http2);
  ~ServerConnection();

  /// The request in hand, or the next one, is answered with `Connection: close`.
  void drain() override;
  void cancel(io::CancelReason reason) override { token_.cancel(reason); }
  bool active() const { return active_; }

 private:
  friend io::Task<> serve_connection(io::Loop& loop, std::unique_ptr<io::Stream> stream,
                                     RequestHandler& handler, uint16_t listener, Connections& connections,
                                     io::TaskScope* http2);
  friend class Http1Exchange;
  io::Loop& loop() const { return timer_.loop(); }
  io::Task<bool> serve_request(bool pipelined);
  /// How late the request that begins now is; nothing when nobody asks, or when that is the client's own
  /// doing.
  std::optional<Duration> queue_delay(bool pipelined) const;
  io::Task<> rest();
  io::Task<> close_lingering();
  /// The stream goes to an HTTP/2 connection, for the client has said that it speaks it.
  void become_http2(Connections& connections);
  void set_active(bool active);
  void await_request();
  void on_disturbed(bool broken) override;

  RequestHandler& handler_;
  std::unique_ptr<io::Stream> stream_;
  io::TaskScope* http2_;            // where an HTTP/2 connection is served; null: HTTP/1.x alone
  std::unique_ptr<Tunnel> tunnel_;  // what the connection has become
  io::CancelToken token_;
  Instant rests_until_{};  // before the next request is read; zero: no rest was wanted
  // The small ones lie in the timer's padding: an idle connection is to be small.
  [[no_unique_address]] ExchangeTimer timer_;
  uint16_t listener_;
  bool active_ = false;
  bool draining_ = false;
  bool becomes_http2_ = false;
  bool open_ended_ = false;  // the answer in hand has no length
};

/// What an HTTP/1.x parser sees of the HTTP/2 preface (RFC 9113, section 3.4): the head of a request that is
/// none.
inline constexpr std::string_view kHttp2PrefaceHead = "PRI * HTTP/2.0\r\n\r\n";

/// Serves a connection until it ends; it is in `connections` meanwhile. One that begins with the HTTP/2
/// preface is handed to a coroutine in `http2`; null: it is refused.
io::Task<> serve_connection(io::Loop& loop, std::unique_ptr<io::Stream> stream, RequestHandler& handler,
                            uint16_t listener, Connections& connections, io::TaskScope* http2 = nullptr);

}  // namespace sluice::http::h1
