// One request and its response on an HTTP/2 stream of a client connection.
#pragma once

#include <optional>
#include <span>

#include "base/arena.h"
#include "base/intrusive_list.h"
#include "http/client.h"
#include "http/h2/incoming.h"
#include "http/h2/outgoing.h"
#include "http/h2/response_head.h"
#include "http/h2/session.h"
#include "http/h2/tunnel_stream.h"
#include "http/limits.h"
#include "io/frame_pool.h"
#include "io/signal.h"

namespace sluice::http::h2 {

class ClientConnection;

/// Lives between ClientConnection::start and `end`; as a tunnel, a little longer: until its end is told.
class ClientStream final : public SessionStream,
                           public http::ClientExchange,
                           public ListHook,
                           private http::ClientTunnel,
                           private Incoming::Window,
                           private Outgoing::Watcher,
                           private TunnelSender {
 public:
  static void* operator new(size_t bytes) { return io::allocate_frame(bytes); }
  static void operator delete(void* block, size_t bytes) { io::release_frame(block, bytes); }

  // --- http::ClientExchange ---
  void begin(const Request& request, const RequestOptions& options) override;
  io::Task<WriteResult> send_body(Body body, TransferWatch& watch) override;
  TransferWatch watch(const TransferWatch::Bounds& bounds) const override {
    return {bounds, static_cast<const TransferWatch::Sink*>(&outgoing_)};
  }
  io::Task<std::expected<void, Error>> read_head(Response& out) override;
  BodyReader* body() override;
  bool body_begun() const override { return outgoing_.body_begun(); }
  bool stale() const override;
  bool unprocessed() const override { return refused_ || !outgoing_.head_sent(); }
  void end(bool sent) override;
  http::ClientTunnel& become_tunnel() override;

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
  void submit();
  void leave_session();
  bool asks_for_tunnel() const { return !options_.upgrade.empty(); }

  // --- http::ClientTunnel ---
  io::Stream& stream() override { return *tunnel_; }
  void end() override;
  void end_if_told();

  // --- Outgoing::Watcher ---
  void on_outgoing() override;

  // --- TunnelSender ---
  io::Address tunnel_peer() const override;
  void offer_bytes(std::string_view bytes, bool last) override { outgoing_.offer_bytes(bytes, last); }
  bool all_offered_sent() const override { return outgoing_.all_sent(); }
  bool in_batch() const override { return outgoing_.linked(); }
  void take_back() override { outgoing_.take_back(); }
  bool broken() const override { return outgoing_.broken(); }
  void cancel_stream() override;

  // --- the connection's side ---
  /// The server's first SETTINGS have come.
  void on_settled();
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
  /// The same, and nothing of it ever will.
  void withdraw();

  ClientConnection& connection_;
  io::CancelToken& token_;  // gone when it is a tunnel, like the arena and the request
  Arena& arena_;
  const Limits limits_;
  const Request* request_ = nullptr;
  RequestOptions options_;
  int32_t id_ = 0;  // 0: nothing was submitted
  Outgoing outgoing_;
  Incoming incoming_;
  io::Signal heads_;
  ReceivedHead* first_head_ = nullptr;
  ReceivedHead* last_head_ = nullptr;
  uint32_t waiting_heads_ = 0;
  std::optional<ResponseHead> head_;  // that is coming
  std::optional<Error> error_;
  uint64_t read_before_;        // bytes of the connection when it began
  bool reused_;                 // the connection had carried others
  bool head_complete_ = false;  // the final one
  bool refused_ = false;
  bool closed_ = false;          // nghttp2 knows it no more
  bool waits_settings_ = false;  // whether it may be sent at all they will say
  bool tunnel_ended_ = false;    // nobody uses it any more
  std::optional<TunnelStream> tunnel_;
};

}  // namespace sluice::http::h2
