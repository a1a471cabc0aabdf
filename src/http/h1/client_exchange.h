// One request and its response on an HTTP/1.1 client connection.
#pragma once

#include <optional>

#include "base/arena.h"
#include "http/client.h"
#include "http/h1/response_parser.h"
#include "http/h1/stream_body.h"
#include "http/limits.h"
#include "io/loop.h"
#include "io/stream.h"

namespace sluice::http::h1 {

/// Lives in an arena, between `start` and `end`.
class ClientExchange final : public http::ClientExchange {
 public:
  /// Whose connection it is.
  class Lender {
   public:
    /// The exchange is over; `reusable`: the next one may follow on the stream.
    virtual void on_exchange_end(bool reusable) = 0;
    /// Likewise, and the stream has become a tunnel.
    virtual ClientTunnel& on_upgrade() = 0;

   protected:
    ~Lender() = default;
  };
  struct Connection {
    io::Loop& loop;
    io::Stream& stream;
    Lender& lender;
    bool reused;  // it has carried an exchange before
  };

  static ClientExchange& start(const Connection& connection, const ExchangePlace& place) {
    return *new (place.arena.allocate(sizeof(ClientExchange), alignof(ClientExchange)))
        ClientExchange(connection, place);
  }

  void begin(const Request& request, const RequestOptions& options) override;
  io::Task<WriteResult> send_body(Body body, TransferWatch& watch) override;
  TransferWatch watch(const TransferWatch::Bounds& bounds) const override {
    return {bounds, &connection_.stream};
  }
  io::Task<std::expected<void, Error>> read_head(Response& out) override;
  BodyReader* body() override;
  bool stale() const override { return connection_.reused && stream().bytes_read() == read_before_; }
  bool unprocessed() const override { return false; }
  bool body_begun() const override { return true; }
  void end(bool sent) override;
  ClientTunnel& become_tunnel() override;

 private:
  ClientExchange(const Connection& connection, const ExchangePlace& place)
      : connection_(connection),
        limits_(place.limits),
        arena_(place.arena),
        read_before_(connection.stream.bytes_read()) {
    connection.stream.bind(place.token);
  }
  ~ClientExchange() = default;

  io::Stream& stream() const { return connection_.stream; }
  bool try_send_head(io::Result<>& result) override;
  void wait_send_head(std::coroutine_handle<> waiter, io::Result<>* result) override;

  const Connection connection_;
  const Limits limits_;
  Arena& arena_;
  uint64_t read_before_;
  const Request* request_ = nullptr;
  const Response* response_ = nullptr;
  iovec unsent_{};  // the head
  iovec sending_{};
  ResponseHead head_;
  std::optional<StreamBody> body_;
};

}  // namespace sluice::http::h1
