// The body of a message on its way out on an HTTP/2 stream: pulled when the peer's window has room, offered
// to the session, gone when a batch that holds it is written.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/intrusive_list.h"
#include "http/body.h"
#include "http/exchange_timer.h"
#include "http/h2/session.h"
#include "http/message.h"
#include "http/write_result.h"
#include "io/signal.h"

namespace sluice::http::h2 {

/// Linked while something of it is in the batch that is being written.
class Outgoing final : public ListHook, public TransferWatch::Sink {
 public:
  /// The connection.
  class Carrier {
   public:
    virtual Session& session() = 0;
    /// Nothing can be sent any more.
    virtual bool lost() const = 0;
    /// What the peer does not take it has refused.
    virtual bool takes_bodies() const = 0;
    virtual void schedule_write() = 0;
    virtual void join_batch(Outgoing& outgoing) = 0;
    virtual uint64_t bytes_written() const = 0;

   protected:
    ~Carrier() = default;
  };

  /// Told, in place of who waits in `send`, that something has left or that nothing more will.
  class Watcher {
   public:
    virtual void on_outgoing() = 0;

   protected:
    ~Watcher() = default;
  };

  Outgoing(io::Loop& loop, Carrier& carrier, Arena& arena)
      : loop_(loop), carrier_(carrier), arena_(arena), signal_(loop) {}

  // --- the stream's side ---
  /// The stream's number.
  void open(int32_t id) { id_ = id; }
  /// Pulls and sends all of it, or until `until` is cancelled. Nothing points at its bytes afterwards.
  io::Task<WriteResult> send(Body body, BodyLength length, TransferWatch& watch, io::CancelToken& until);
  /// Nothing more will leave.
  void close() {
    closed_ = true;
    tell();
  }
  void watch(Watcher& watcher) { watcher_ = &watcher; }
  /// Instead of `send`, for who writes as to a stream; `bytes` live until `all_sent` or `take_back`.
  void offer_bytes(std::string_view bytes, bool last) { offer({.bytes = bytes, .end = last}); }
  bool all_sent() const { return left_ == 0; }
  void take_back() { left_ = 0; }
  /// What is offered will never leave.
  bool broken() const { return carrier_.lost() || (closed_ && !end_sent_); }
  bool head_sent() const { return head_sent_; }
  /// Something of the body was, or is being, read.
  bool body_begun() const { return body_begun_; }
  /// The whole message is in a batch.
  bool end_sent() const { return end_sent_; }
  /// What is in a batch moves when the connection does, what waits for a window does not.
  uint64_t moved() const override { return sent_bytes_ + (linked() ? carrier_.bytes_written() : 0); }

  // --- the session's side ---
  Portion next_portion(size_t most) const;
  bool has_portion(size_t bytes) const { return bytes <= left_ || (bytes == 0 && last_); }
  void put_portion(size_t bytes, OutputBatch& batch);
  void on_head_sent(size_t bytes, bool end);
  void on_window() {
    if (waits_for_window_) signal_.tell();
  }
  /// The batch is written, or lost.
  void on_batch_end() { tell(); }

 private:
  void offer(const Chunk& chunk);
  io::Task<bool> delivered(io::CancelToken& until);
  bool has_window() const;
  io::Task<> wait_for_window(io::CancelToken& until);
  void tell() {
    if (watcher_)
      watcher_->on_outgoing();
    else
      signal_.tell();
  }
  WriteResult broken_off(io::CancelToken& until) const;

  io::Loop& loop_;
  Carrier& carrier_;
  Arena& arena_;
  io::Signal signal_;
  Watcher* watcher_ = nullptr;
  int32_t id_ = 0;
  const char* offered_ = nullptr;  // what has not left yet
  size_t left_ = 0;
  const Fields* trailers_ = nullptr;
  uint64_t sent_bytes_ = 0;
  bool last_ = false;  // what is offered is the end
  bool head_sent_ = false;
  bool body_begun_ = false;
  bool end_sent_ = false;
  bool closed_ = false;
  bool waits_for_window_ = false;
};

}  // namespace sluice::http::h2
