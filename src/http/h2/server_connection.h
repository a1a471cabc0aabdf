// The server side of an HTTP/2 connection (RFC 9113): requests beside one another, each given to a
// RequestHandler in a coroutine of its own. One coroutine reads; another writes, and exists only while there
// is something to write.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "http/connection.h"
#include "http/exchange_timer.h"
#include "http/h2/server_stream.h"
#include "http/h2/session.h"
#include "http/server.h"
#include "io/cancel.h"
#include "io/linked_token.h"
#include "io/loop.h"
#include "io/scope.h"
#include "io/stream.h"

namespace sluice::http::h2 {

/// How a connection comes here.
struct ConnectionStart {
  std::string_view received = {};  // what somebody else has read of it; of static storage
  bool draining = false;           // it is to be the last of its kind already
};

class ServerConnection final : public Connection, private Session::Owner {
 public:
  ServerConnection(io::Loop& loop, std::unique_ptr<io::Stream> stream, RequestHandler& handler,
                   uint16_t listener);
  ~ServerConnection();

  /// GOAWAY in two steps; ends when what is in hand is answered.
  void drain() override;
  void cancel(io::CancelReason reason) override { token_.cancel(reason); }

 private:
  friend io::Task<> serve_connection(io::Loop& loop, std::unique_ptr<io::Stream> stream,
                                     RequestHandler& handler, uint16_t listener, Connections& connections,
                                     ConnectionStart start);
  friend class ServerStream;

  /// False: nothing more is to be read.
  bool receive(std::string_view bytes);
  io::Task<> rest();
  io::Task<> end();
  io::Task<> say_goodbye();
  io::Task<> flush();
  io::Task<> drain_in_steps();

  void start_streams();
  io::Task<> serve(ServerStream& stream);
  io::Task<> run_tunnel(ServerStream& stream);
  void remove(ServerStream& stream);
  void end_head(ServerStream& stream);

  void schedule_write();
  io::Task<> write_all();
  void join_batch(ServerStream& stream) {
    if (!stream.in_batch_.linked()) in_batch_.push_back(stream.in_batch_);
  }
  void release_batch();
  void lose();
  /// Nothing is to be read or written any more: the reader is told.
  void end_if_done();
  void count_active();
  void time_idle();

  // --- Session::Owner ---
  static ServerStream& of(SessionStream& stream) { return static_cast<ServerStream&>(stream); }
  SessionStream& on_begin(int32_t id) override;
  bool on_field(SessionStream& stream, bool trailer, std::string_view name, std::string_view value) override;
  void on_fields_end(SessionStream& stream, bool trailer, bool) override {
    if (!trailer) end_head(of(stream));
  }
  void on_data(SessionStream& stream, std::string_view bytes) override { of(stream).incoming_.add(bytes); }
  void on_end(SessionStream& stream) override;
  void on_malformed(SessionStream& stream) override;
  void on_closed(SessionStream& stream, uint32_t code) override;
  void on_window(SessionStream* stream) override;
  void on_settings() override;
  void on_limit(std::string_view limit) override { handler_.count_limit(limit); }
  void on_ping_answered() override;
  Portion next_portion(SessionStream& stream, size_t most) override { return of(stream).next_portion(most); }
  bool has_portion(const SessionStream& stream, size_t bytes) const override {
    return static_cast<const ServerStream&>(stream).has_portion(bytes);
  }
  void put_portion(SessionStream& stream, size_t bytes, OutputBatch& batch) override {
    of(stream).put_portion(bytes, batch);
  }
  void on_head_sent(SessionStream& stream, size_t bytes, bool end) override {
    of(stream).head_sent(bytes, end);
  }
  Instant now() const override { return loop_.now(); }

  io::Loop& loop_;
  RequestHandler& handler_;
  std::unique_ptr<io::Stream> stream_;
  io::CancelToken token_;
  ExchangeTimer timer_;
  Session session_;
  IntrusiveList<ServerStream> new_streams_;  // their heads are not whole, or nobody has them yet
  IntrusiveList<ServerStream> streams_;      // handlers have them
  IntrusiveList<ServerStream::InBatch> in_batch_;
  io::TaskScope scope_;
  io::CancelToken* notice_ = nullptr;  // cancelled when the client knows that we drain
  std::optional<Duration> queued_;     // of what is being received
  Instant rests_until_{};
  uint16_t listener_;
  bool active_ = false;
  bool writing_ = false;
  bool lost_ = false;  // nothing can be sent any more
  bool draining_ = false;
  bool head_open_ = true;  // of the connection, or of a request
};

/// Serves a connection until it ends; it is in `connections` meanwhile.
io::Task<> serve_connection(io::Loop& loop, std::unique_ptr<io::Stream> stream, RequestHandler& handler,
                            uint16_t listener, Connections& connections, ConnectionStart start);

}  // namespace sluice::http::h2
