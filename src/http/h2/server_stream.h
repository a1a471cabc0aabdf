// One request and its response on an HTTP/2 stream.
#pragma once

#include <sys/uio.h>

#include <optional>

#include "base/intrusive_list.h"
#include "http/arena_block.h"
#include "http/h2/incoming.h"
#include "http/h2/request_head.h"
#include "http/h2/session.h"
#include "http/h2/tunnel_stream.h"
#include "http/server.h"
#include "io/signal.h"

namespace sluice::http::h2 {

class ServerConnection;

/// What an exchange refers to.
struct StreamState {
  explicit StreamState(io::Loop& loop) : memory(block.bytes()), received(memory), timeouts(loop, ends) {}

  ArenaBlock block;
  Arena memory;
  Request received;
  io::CancelToken ends;
  ExchangeTimer timeouts;
};

class ServerStream final : private StreamState,
                           public SessionStream,
                           public ServerExchange,
                           public ListHook,
                           private Incoming::Window,
                           private TunnelSender,
                           private TransferWatch::Sink {
 public:
  ServerStream(ServerConnection& connection, int32_t id);
  ~ServerStream();

  static void* operator new(size_t bytes) { return io::allocate_frame(bytes); }
  static void operator delete(void* block, size_t bytes) { io::release_frame(block, bytes); }

  // --- http::ServerExchange ---
  io::Address local() const override;
  void limit_request_body(uint64_t bytes) override { incoming_.limit(bytes); }
  uint64_t request_bytes() const override { return head_bytes_ + incoming_.received(); }
  uint64_t response_bytes() const override { return sent_bytes_; }
  io::Task<void> send_informational(const Response& response) override;
  io::Task<SendOutcome> send(Response& response, Body body, TransferWatch::Bounds bounds) override;
  io::Task<io::Stream*> accept_tunnel(Response& response) override;
  void stop_request_body() override;
  void abandon() override;

  // --- the connection's side ---
  /// The head is whole: fills in what the handler sees.
  void begin();
  /// The connection is gone, or nghttp2 has closed the stream.
  void lose(io::CancelReason reason);
  /// Answered, while the request is not whole yet.
  bool has_rest() const { return end_sent_ && !closed_ && !reset_ && !incoming_.ended(); }
  /// Awaits and drops the rest, for a while.
  io::Task<> skip_rest();
  /// The handler is done with it: the stream is closed, if it is not yet.
  void finish();
  /// Something that was offered has left, or nothing will any more.
  void on_progress();
  /// Its tunnel has run: what it had to say goes out.
  io::Task<> end_tunnel();
  void more_window() {
    if (waits_for_window_) signal_.tell();
  }
  Portion next_portion(size_t most) const;
  bool has_portion(size_t bytes) const { return bytes <= left_ || (bytes == 0 && last_); }
  void put_portion(size_t bytes, OutputBatch& batch);
  void head_sent(size_t bytes, bool end);

  /// In the list of those who have something in the batch that is being written.
  struct InBatch : ListHook {
    explicit InBatch(ServerStream& of) : stream(of) {}
    ServerStream& stream;
  };

 private:
  friend class ServerConnection;
  struct Sending;

  void give_back(size_t bytes) override;
  uint64_t moved() const override;

  // --- TunnelSender ---
  io::Address tunnel_peer() const override { return peer; }
  void offer_bytes(std::string_view bytes, bool last) override;
  bool all_offered_sent() const override { return left_ == 0; }
  bool in_batch() const override { return in_batch_.linked(); }
  void take_back() override { left_ = 0; }
  bool broken() const override;
  void cancel_stream() override;

  void submit_head(const Response& response, bool body);
  void offer(std::string_view bytes, bool last, const Fields* trailers);
  io::Task<bool> delivered(io::CancelToken& until);
  io::Task<bool> has_window(io::CancelToken& until);
  io::Task<SendOutcome> send_stream(BodyReader& body, BodyLength length, TransferWatch& watch,
                                    io::CancelToken& until);
  SendOutcome fail(SendOutcome outcome);
  void reset(ErrorCode code);
  bool all_sent() const { return last_ ? end_sent_ : left_ == 0; }
  std::span<const Field> sendable(const Fields& fields, const Response* response);

  ServerConnection& connection_;
  int32_t id_;
  Incoming incoming_;
  RequestHead head_;
  io::Signal signal_;  // for who sends
  InBatch in_batch_{*this};
  std::optional<TunnelStream> tunnel_stream_;
  const char* offered_ = nullptr;  // what has not left yet
  size_t left_ = 0;
  const Fields* trailers_ = nullptr;
  uint64_t head_bytes_ = 0;
  uint64_t sent_bytes_ = 0;
  bool last_ = false;       // what is offered is the end, or there was none to offer
  bool end_sent_ = false;   // END_STREAM is in a batch
  bool whole_ = false;      // its head is, or is malformed
  bool begun_ = false;      // a handler has it
  bool malformed_ = false;  // refused by nghttp2, which resets it
  bool closed_ = false;     // nghttp2 knows it no more
  bool reset_ = false;      // by us
  bool drops_ = false;      // what still comes
  bool waits_for_window_ = false;
};

}  // namespace sluice::http::h2
