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
#include "io/stream.h"

namespace sluice::http::h1 {

/// What stays of a connection while it idles; one request at a time lives in a coroutine of its own.
class ServerConnection final : public Connection, private io::Stream::Observer {
 public:
  ServerConnection(io::Loop& loop, std::unique_ptr<io::Stream> stream, RequestHandler& handler,
                   uint16_t listener);
  ~ServerConnection();

  /// The request in hand is answered with `Connection: close`; an idle connection ends at once.
  void drain() override;
  void cancel(io::CancelReason reason) override { token_.cancel(reason); }
  bool active() const { return active_; }

 private:
  friend io::Task<> serve_connection(io::Loop& loop, std::unique_ptr<io::Stream> stream,
                                     RequestHandler& handler, uint16_t listener, Connections& connections);
  friend class Http1Exchange;
  io::Loop& loop() const { return timer_.loop(); }
  io::Task<bool> serve_request(bool pipelined);
  /// How late the request that begins now is; nothing when nobody asks, or when that is the client's own
  /// doing.
  std::optional<Duration> queue_delay(bool pipelined) const;
  io::Task<> rest();
  io::Task<> close_lingering();
  void set_active(bool active);
  void on_disturbed(bool broken) override;

  RequestHandler& handler_;
  std::unique_ptr<io::Stream> stream_;
  std::unique_ptr<Tunnel> tunnel_;  // what the connection has become
  io::CancelToken token_;
  Instant rests_until_{};  // before the next request is read; zero: no rest was wanted
  // The small ones lie in the timer's padding: an idle connection is to be small.
  [[no_unique_address]] ExchangeTimer timer_;
  uint16_t listener_;
  bool active_ = false;
  bool draining_ = false;
};

/// Serves a connection until it ends; it is in `connections` meanwhile.
io::Task<> serve_connection(io::Loop& loop, std::unique_ptr<io::Stream> stream, RequestHandler& handler,
                            uint16_t listener, Connections& connections);

}  // namespace sluice::http::h1
