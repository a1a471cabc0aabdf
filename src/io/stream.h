// Stream: a byte stream in both directions, whatever carries it (a socket, TLS, a simulated pipe). Reading
// lends buffers, so that it fits readiness (epoll) and completion (io_uring) alike; awaiting costs no
// coroutine frame.
#pragma once

#include <sys/uio.h>

#include <coroutine>
#include <cstdint>
#include <memory>
#include <span>

#include "base/time.h"
#include "io/address.h"
#include "io/buffer.h"
#include "io/cancel.h"
#include "io/error.h"

namespace sluice::tls {
struct ConnectionSecurity;
}

namespace sluice::io {

/// One reader and one writer at a time. Its waits end with kCancelled when the token it is bound to is
/// cancelled. It must not be destroyed while somebody waits on it. Not thread-safe: it belongs to one loop.
class Stream : public Cancellable {
 public:
  virtual ~Stream() = default;

  struct ReadAwait {
    Stream& stream;
    Result<Lease> result = Lease();
    bool await_ready() { return stream.try_read(result); }
    void await_suspend(std::coroutine_handle<> waiter) { stream.wait_read(waiter, &result); }
    Result<Lease> await_resume() { return std::move(result); }
  };
  struct ReadableAwait {
    Stream& stream;
    Result<> result = {};
    bool await_ready() { return stream.try_readable(result); }
    void await_suspend(std::coroutine_handle<> waiter) { stream.wait_readable(waiter, &result); }
    Result<> await_resume() { return result; }
  };
  struct WriteAwait {
    Stream& stream;
    std::span<const iovec> pieces;
    Result<> result = {};
    bool await_ready() { return stream.try_write(pieces, result); }
    void await_suspend(std::coroutine_handle<> waiter) { stream.wait_write(waiter, &result); }
    /// For a wait of somebody else's that this write is.
    void await_suspend(std::coroutine_handle<> waiter, Result<>* to) { stream.wait_write(waiter, to); }
    Result<> await_resume() { return result; }
  };

  /// The next bytes, or an empty lease at the end of the stream. What `unread` gave comes first.
  ReadAwait read() { return {*this}; }
  /// Until `read` would return at once; holds no buffer while it waits.
  ReadableAwait readable() { return {*this}; }
  /// All of it or an error. `pieces` and what they point to live until it returns.
  WriteAwait write(std::span<const iovec> pieces) { return {*this, pieces}; }

  /// Gives back bytes that the next `read` returns; at most one lease at a time.
  void unread(Lease&& lease) { unread_ = std::move(lease); }
  bool has_unread() const { return !unread_.empty(); }

  /// Sends the end of the stream after what was written.
  virtual void shutdown_write() = 0;
  /// The connection is to be broken, not ended, when the stream is destroyed (a TCP reset where there is
  /// one).
  virtual void abort() = 0;
  /// Whether bytes, an end or an error are at hand although nobody has read: an idle pooled connection that
  /// says so is no longer fit for use.
  virtual bool dirty() = 0;
  /// Whether the peer's end has come, or it is gone; bytes before that may not have been read. For
  /// connections.
  virtual bool peer_ended() const { return false; }

  virtual Address peer() const = 0;
  /// What a handshake has established (tls/connection_security.h); null: the bytes go in the clear.
  virtual const tls::ConnectionSecurity* security() const { return nullptr; }
  /// A proxy has said whose connection it is: `peer` from now on. For connections; what lies over one asks
  /// it.
  virtual void set_peer(const Address&) {}
  /// What the peer had connected to; the unspecified address where that is not known. A system call: not for
  /// each exchange.
  virtual Address local() const { return {}; }
  /// How long ago the last bytes came in, also before the connection was accepted; zero where that is not
  /// known. A system call: for samples.
  virtual Duration input_age() const { return {}; }

  /// Told when something arrives while nobody reads, at most once for each arrival; it may destroy the
  /// stream.
  class Observer {
   public:
    /// `broken`: no byte can be sent or received any more. Otherwise there are bytes or an end to be read.
    virtual void on_disturbed(bool broken) = 0;

   protected:
    ~Observer() = default;
  };
  void observe(Observer* observer) { observer_ = observer; }

  /// For progress timeouts: bytes that have passed so far.
  uint64_t bytes_read() const { return bytes_read_; }
  uint64_t bytes_written() const { return bytes_written_; }
  /// Bytes read so far, without those that `unread` gave back.
  uint64_t bytes_taken() const { return bytes_read_ - unread_.size(); }

 protected:
  /// Each returns true with `result` set when it is done, or false when it would wait.
  virtual bool try_read(Result<Lease>& result) = 0;
  virtual bool try_readable(Result<>& result) = 0;
  virtual bool try_write(std::span<const iovec> pieces, Result<>& result) = 0;
  /// Go on with what `try_` could not finish; set `*result`, then resume `waiter`.
  virtual void wait_read(std::coroutine_handle<> waiter, Result<Lease>* result) = 0;
  virtual void wait_readable(std::coroutine_handle<> waiter, Result<>* result) = 0;
  virtual void wait_write(std::coroutine_handle<> waiter, Result<>* result) = 0;

  Lease unread_;
  Observer* observer_ = nullptr;
  uint64_t bytes_read_ = 0;
  uint64_t bytes_written_ = 0;
};

/// Accepts connections. Not thread-safe.
class Listener : public Cancellable {
 public:
  virtual ~Listener() = default;

  struct AcceptAwait {
    Listener& listener;
    Result<std::unique_ptr<Stream>> result = nullptr;
    bool await_ready() { return listener.try_accept(result); }
    void await_suspend(std::coroutine_handle<> waiter) { listener.wait_accept(waiter, &result); }
    Result<std::unique_ptr<Stream>> await_resume() { return std::move(result); }
  };
  /// The next connection. kNoDescriptors: one was shed because descriptors ran out. Once it is cancelled it
  /// still gives what had come before, and then kCancelled: closing over them would reset them.
  AcceptAwait accept() { return {*this}; }

  /// Where it listens; the port is the one given by the system when 0 was asked for.
  virtual Address address() const = 0;
  /// Another descriptor of the same socket, for another process to accept from it too.
  virtual Result<int> duplicate() const = 0;

 protected:
  virtual bool try_accept(Result<std::unique_ptr<Stream>>& result) = 0;
  virtual void wait_accept(std::coroutine_handle<> waiter, Result<std::unique_ptr<Stream>>* result) = 0;
};

}  // namespace sluice::io
