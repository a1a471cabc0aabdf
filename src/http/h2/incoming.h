// The body of a request on an HTTP/2 stream: what has come waits here until somebody pulls it. The client's
// window bounds how much that is, and grows again as it is used.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "http/body.h"
#include "http/limits.h"
#include "io/buffer.h"
#include "io/signal.h"

namespace sluice::http::h2 {

class Incoming final : public BodyReader {
 public:
  /// Told how many bytes have been used, so that as many more may come.
  class Window {
   public:
    virtual void give_back(size_t bytes) = 0;

   protected:
    ~Window() = default;
  };

  /// Told in place of `signal` that something has come, or that nothing more will.
  class Watcher {
   public:
    virtual void on_incoming() = 0;

   protected:
    ~Watcher() = default;
  };

  Incoming(io::Loop& loop, io::CancelToken& token, Window& window, Arena& arena)
      : signal_(loop), token_(token), window_(window), arena_(arena) {}
  ~Incoming() override;

  // --- the connection's side ---
  void add(std::string_view bytes);
  /// A trailer field. False: more than is allowed.
  bool add_trailer(std::string_view name, std::string_view value, const Limits& limits);
  /// The request is whole.
  void end();
  /// What has not come will not come. The first error stays.
  void fail(const Error& error);
  /// Nobody reads any more: what is here and what still comes is thrown away.
  void drop();

  // --- the reader's side ---
  bool try_read(ChunkResult& result) override;
  /// The next bytes as a lease, for who reads them as a stream; empty at the end.
  bool try_lease(std::expected<io::Lease, Error>& result);
  /// Whether `try_lease` would give something.
  bool readable() const { return error_ || first_ || ended_; }
  void watch(Watcher* watcher) { watcher_ = watcher; }
  /// More than `bytes` in all is an error with 413.
  void limit(uint64_t bytes) { limit_ = bytes; }

  /// The end has come, though it may not be read yet.
  bool ended() const { return ended_; }
  bool has_trailers() const { return trailers_.has_value(); }
  uint64_t received() const { return received_; }

 private:
  io::Task<ChunkResult> wait_read() override;
  io::Buffer* pop();
  void tell();
  void release_lent();
  size_t release_unread();

  io::Signal signal_;
  io::CancelToken& token_;
  Window& window_;
  Watcher* watcher_ = nullptr;
  Arena& arena_;
  io::Buffer* first_ = nullptr;  // what waits, in order
  io::Buffer* last_ = nullptr;
  io::Buffer* lent_ = nullptr;  // what the last chunk is a view of
  uint64_t received_ = 0;
  uint64_t given_ = 0;  // to the reader
  uint64_t limit_ = UINT64_MAX;
  std::optional<Error> error_;
  std::optional<Fields> trailers_;
  uint32_t trailer_bytes_ = 0;
  bool ended_ = false;
};

}  // namespace sluice::http::h2
