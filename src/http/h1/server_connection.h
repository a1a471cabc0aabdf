// The server side of an HTTP/1.x connection (RFC 9112): requests one after another, each given to a
// RequestHandler.
#pragma once

#include <memory>
#include <optional>

#include "base/intrusive_list.h"
#include "http/exchange_timer.h"
#include "http/server.h"
#include "io/cancel.h"
#include "io/loop.h"
#include "io/stream.h"

namespace sluice::http::h1 {

/// What stays of a connection while it idles; one request at a time lives in a coroutine of its own.
class ServerConnection final : public ListHook, private io::Stream::Observer {
 public:
  ServerConnection(io::Loop& loop, std::unique_ptr<io::Stream> stream, RequestHandler& handler,
                   uint16_t listener);
  ~ServerConnection();

  /// The request in hand is answered with `Connection: close`; an idle connection ends at once.
  void drain();
  /// Ends everything now.
  void cancel(io::CancelReason reason) { token_.cancel(reason); }
  bool active() const { return active_; }

 private:
  friend io::Task<> serve_connection(io::Loop& loop, std::unique_ptr<io::Stream> stream,
                                     RequestHandler& handler, uint16_t listener,
                                     IntrusiveList<ServerConnection>& connections);
  friend class Http1Exchange;
  /// What comes after a request: another one, and after which rest.
  struct Next {
    bool again;
    Duration rest;
  };
  io::Task<Next> serve_request(std::optional<Duration> queued);
  io::Task<> close_lingering();
  void set_active(bool active);
  void on_disturbed(bool broken) override;

  io::Loop& loop_;
  RequestHandler& handler_;
  std::unique_ptr<io::Stream> stream_;
  io::CancelToken token_;
  ExchangeTimer timer_;
  uint16_t listener_;
  bool active_ = false;
  bool draining_ = false;
};

/// Serves a connection until it ends; it is in `connections` meanwhile.
io::Task<> serve_connection(io::Loop& loop, std::unique_ptr<io::Stream> stream, RequestHandler& handler,
                            uint16_t listener, IntrusiveList<ServerConnection>& connections);

}  // namespace sluice::http::h1
