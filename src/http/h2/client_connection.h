// The client side of an HTTP/2 connection (RFC 9113): many requests at once, each a ClientStream that
// somebody else's coroutine walks along. One coroutine reads; another writes, and exists only while there is
// something to write.
#pragma once

#include <memory>
#include <string_view>

#include "base/intrusive_list.h"
#include "http/client.h"
#include "http/exchange_timer.h"
#include "http/h2/client_stream.h"
#include "http/h2/outgoing.h"
#include "http/h2/session.h"
#include "io/cancel.h"
#include "io/loop.h"
#include "io/scope.h"
#include "io/signal.h"
#include "io/stream.h"

namespace sluice::http::h2 {

/// Made with `new`; once it runs it deletes itself at its end, which `close` or the server brings about.
class ClientConnection final : private Outgoing::Carrier, private Session::Owner {
 public:
  /// Whose requests it carries.
  class Owner {
   public:
    /// A request began or ended, or the server allows another number of them.
    virtual void on_load() = 0;
    /// It takes no more requests; those that it has go on.
    virtual void on_closing() = 0;
    /// The server passed a bound.
    virtual void on_limit(std::string_view limit) = 0;
    /// The connection is gone with this call.
    virtual void on_ended() = 0;

   protected:
    ~Owner() = default;
  };
  struct Settings {
    std::string_view scheme;                 // of its requests; static
    uint32_t head_bytes;                     // of an answer, at most
    uint32_t most_requests = kMostRequests;  // at once, until the server says how many
  };

  ClientConnection(io::Loop& loop, std::unique_ptr<io::Stream> stream, const Settings& settings,
                   Owner& owner);
  ClientConnection(const ClientConnection&) = delete;
  ClientConnection& operator=(const ClientConnection&) = delete;

  /// Speaks until the end; in a scope. Nothing is called before.
  static io::Task<> run(ClientConnection& connection);
  /// Whether one more request may be started.
  bool has_room() const { return !closing_ && active_ < most_active_; }
  uint32_t active() const { return active_; }
  /// How many requests at once the server takes, as far as is known.
  uint32_t most_requests() const { return most_active_; }
  /// Since when it has had none.
  Instant idle_since() const { return idle_since_; }
  http::ClientExchange& start(const ExchangePlace& place);
  /// No more requests: it ends with the last one that it has.
  void close();

 private:
  friend class ClientStream;

  ~ClientConnection() = default;

  bool receive(std::string_view bytes);
  io::Task<> say_goodbye();
  io::Task<> write_all();
  void release_batch();
  void lose(const Error* why);
  void break_off();
  void stop_taking();
  void end_if_done();

  // --- for its streams ---
  void submit(ClientStream& stream, const RequestLine& line, std::span<const Field> fields, bool body);
  /// One is gone. `unheard`: it ran out of time while nothing came at all, so that the server may have gone
  /// without a word; others are not sent there.
  void on_gone(bool unheard);

  // --- Outgoing::Carrier ---
  Session& session() override { return session_; }
  bool lost() const override { return lost_; }
  bool takes_bodies() const override { return bodies_go_; }
  void schedule_write() override;
  void join_batch(Outgoing& outgoing) override {
    if (!outgoing.linked()) in_batch_.push_back(outgoing);
  }
  uint64_t bytes_written() const override { return stream_->bytes_written(); }

  // --- Session::Owner ---
  static ClientStream& of(SessionStream& stream) { return static_cast<ClientStream&>(stream); }
  SessionStream& on_begin(int32_t id) override;
  bool on_field(SessionStream& stream, bool trailer, std::string_view name, std::string_view value) override;
  void on_fields_end(SessionStream& stream, bool trailer, bool end) override;
  void on_data(SessionStream& stream, std::string_view bytes) override;
  void on_end(SessionStream& stream) override;
  void on_malformed(SessionStream& stream) override;
  void on_closed(SessionStream& stream, uint32_t code) override;
  void on_window(SessionStream* stream) override;
  void on_settings() override;
  void on_ping_answered() override;
  void on_goaway() override { stop_taking(); }
  void on_limit(std::string_view limit) override { owner_.on_limit(limit); }
  Portion next_portion(SessionStream& stream, size_t most) override;
  bool has_portion(const SessionStream& stream, size_t bytes) const override;
  void put_portion(SessionStream& stream, size_t bytes, OutputBatch& batch) override;
  void on_head_sent(SessionStream& stream, size_t bytes, bool end) override;
  Instant now() const override { return loop_.now(); }

  io::Loop& loop_;
  std::unique_ptr<io::Stream> stream_;
  const std::string_view scheme_;
  Owner& owner_;
  io::CancelToken token_;
  ExchangeTimer timer_;
  Session session_;
  IntrusiveList<ClientStream> streams_;  // in the order in which they began
  IntrusiveList<Outgoing> in_batch_;
  io::Signal streams_gone_;
  io::TaskScope scope_;
  uint32_t active_ = 0;
  uint32_t most_active_;
  uint32_t begun_ = 0;  // requests so far
  Instant idle_since_;
  bool settled_ = false;    // the server's first SETTINGS have come
  bool bodies_go_ = false;  // and it has refused what it does not take
  bool writing_ = false;
  bool closing_ = false;
  bool lost_ = false;
  bool broken_ = false;  // a write failed
};

}  // namespace sluice::http::h2
