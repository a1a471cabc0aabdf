// One request and its response on an HTTP/2 stream of a client connection.
#pragma once

#include <optional>
#include <span>
#include <utility>

#include "base/arena.h"
#include "base/intrusive_list.h"
#include "http/client.h"
#include "http/h2/incoming.h"
#include "http/h2/outgoing.h"
#include "http/h2/response_head.h"
#include "http/h2/session.h"
#include "http/h2/signal.h"
#include "http/limits.h"

namespace sluice::http::h2 {

class ClientConnection;

/// Lives in an arena, between ClientConnection::start and `end`.
class ClientStream final : public SessionStream,
                           public http::ClientExchange,
                           public ListHook,
                           private Incoming::Window {
 public:
  // --- http::ClientExchange ---
  void begin(const Request& request, const RequestOptions& options) override;
  io::Task<WriteResult> send_body(Body body, TransferWatch& watch) override;
  TransferWatch watch(const TransferWatch::Bounds& bounds) const override {
    return {bounds, static_cast<const TransferWatch::Sink*>(&outgoing_)};
  }
  io::Task<std::expected<void, Error>> read_head(Response& out) override;
  BodyReader* body() override;
  bool stale() const override;
  bool unprocessed() const override { return refused_ || !outgoing_.head_sent(); }
  void end(bool sent) override;
  /// An HTTP/2 server has no 101 (RFC 9113, section 8.6): the request went without its `upgrade`.
  http::ClientTunnel& become_tunnel() override { std::unreachable(); }

 private:
  friend class ClientConnection;

  /// A head that has come and nobody has read yet.
  struct ReceivedHead {
    Response response;
    ReceivedHead* next;
  };

  ClientStream(ClientConnection& connection, const ExchangePlace& place);
  ~ClientStream() = default;

  bool try_send_head(io::Result<>& result) override;
  void wait_send_head(std::coroutine_handle<> waiter, io::Result<>* result) override;
  void give_back(size_t bytes) override;
  std::span<const Field> fields();

  // --- the connection's side ---
  bool add_field(std::string_view name, std::string_view value);
  void end_fields(bool ended);
  /// Nothing more comes or goes; `why` is null when that is all that is known.
  void lose(const Error* why);
  /// nghttp2 has closed the stream.
  void finish(uint32_t code);
  /// The answer will not come, or not whole.
  void fail(const Error& error);
  /// As if the server had refused it: nothing of it has left.
  void refuse();

  ClientConnection& connection_;
  io::CancelToken& token_;
  Arena& arena_;
  const Limits limits_;
  const Request* request_ = nullptr;
  RequestOptions options_;
  int32_t id_ = 0;  // 0: nothing was submitted
  Outgoing outgoing_;
  Incoming incoming_;
  Signal heads_;
  ReceivedHead* first_head_ = nullptr;
  ReceivedHead* last_head_ = nullptr;
  uint32_t waiting_heads_ = 0;
  std::optional<ResponseHead> head_;  // that is coming
  std::optional<Error> error_;
  uint64_t read_before_;        // bytes of the connection when it began
  bool reused_;                 // the connection had carried others
  bool head_complete_ = false;  // the final one
  bool refused_ = false;
  bool closed_ = false;  // nghttp2 knows it no more
};

}  // namespace sluice::http::h2
