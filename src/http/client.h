// The client side of HTTP as a handler sees it, whatever version carries it: one request to a server and its
// answer.
#pragma once

#include <coroutine>
#include <expected>
#include <string_view>

#include "base/arena.h"
#include "http/body.h"
#include "http/error.h"
#include "http/exchange_timer.h"
#include "http/limits.h"
#include "http/message.h"
#include "http/write_result.h"
#include "io/cancel.h"
#include "io/error.h"
#include "io/stream.h"
#include "io/task.h"

namespace sluice::http {

/// What a request says to this server alone, beside the fields of its message.
struct RequestOptions {
  std::string_view host = {};       // `Host` or `:authority`
  std::string_view base_path = {};  // put before the path, without a slash at its end; not before "*"
  bool te_trailers = false;         // says `TE: trailers`
  std::string_view upgrade = {};    // asks to leave HTTP for this protocol
};

/// A connection, or a stream of one, that has left HTTP: the bytes behind the head that said so.
class ClientTunnel {
 public:
  virtual io::Stream& stream() = 0;
  /// The last call, once nobody waits on the stream any more.
  virtual void end() = 0;

 protected:
  ~ClientTunnel() = default;
};

/// What an exchange lives on.
struct ExchangePlace {
  io::CancelToken& token;  // once it is cancelled, all waits end with an error
  Arena& arena;
  Limits limits;  // a copy: a reload may replace them while we wait
};

/// One request and its response on a connection that somebody lends. In this order: `begin`, the head and the
/// body out while heads and the body of the answer are read, `end`. Writing and reading do not wait for each
/// other. Not thread-safe.
class ClientExchange {
 public:
  /// What is to be sent; nothing leaves yet. `request` and all texts live until `end`.
  virtual void begin(const Request& request, const RequestOptions& options) = 0;

  struct SendHeadAwait {
    ClientExchange& exchange;
    io::Result<> result = {};
    bool await_ready() { return exchange.try_send_head(result); }
    void await_suspend(std::coroutine_handle<> waiter) { exchange.wait_send_head(waiter, &result); }
    io::Result<> await_resume() { return result; }
  };
  /// The head alone: the whole of a request without a body, else to be followed by `send_body`.
  SendHeadAwait send_head() { return {*this}; }
  /// The body, with the head before it unless that was sent. `watch` is one of `watch`.
  virtual io::Task<WriteResult> send_body(Body body, TransferWatch& watch) = 0;
  /// Once `send_body` was called: something of the body may have been read.
  virtual bool body_begun() const = 0;
  /// For watching what the server takes of the body.
  virtual TransferWatch watch(const TransferWatch::Bounds& bounds) const = 0;

  /// The next head, interim ones (1xx) too, into `out`, which is empty before. Errors: kCancelledError,
  /// kUpstreamResetError (also an end before the first byte), kUpstreamTruncatedError, or what is wrong with
  /// the head; all with 502 but the first. A head with 101 is the last one that is read; its `upgrade` says
  /// to what (an HTTP/2 server's agreement, RFC 8441, is told as a 101 too).
  virtual io::Task<std::expected<void, Error>> read_head(Response& out) = 0;
  /// Once a final head was read, before anybody changes it: the body, or null when none comes.
  virtual BodyReader* body() = 0;

  /// After a failure: nothing of an answer has come on a connection that had been used before, so that it had
  /// probably been closed before the request came (RFC 9112, section 9.3.1).
  virtual bool stale() const = 0;
  /// After a failure: the server has said that it has done nothing with the request (RFC 9113, section 8.7).
  virtual bool unprocessed() const = 0;

  /// The last call, once nobody waits any more; the exchange is gone then. What was not sent or read to its
  /// end is broken off at once. `sent`: the whole request is out.
  virtual void end(bool sent) = 0;
  /// Instead of `end`, after the 101 to a request with `upgrade`; the exchange is gone then, its arena free.
  virtual ClientTunnel& become_tunnel() = 0;

 protected:
  ~ClientExchange() = default;

  /// True with `result` when it is done; false when it would wait.
  virtual bool try_send_head(io::Result<>& result) = 0;
  virtual void wait_send_head(std::coroutine_handle<> waiter, io::Result<>* result) = 0;
};

}  // namespace sluice::http
