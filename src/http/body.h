// Bodies: pulled by whoever writes them, never buffered here. A small body at hand costs no coroutine frame.
#pragma once

#include <coroutine>
#include <cstdint>
#include <expected>
#include <string_view>
#include <utility>

#include "http/error.h"
#include "http/fields.h"
#include "io/task.h"

namespace sluice::http {

/// A run of body bytes, valid until the next read. The last one says `end` and may have bytes too.
struct Chunk {
  std::string_view bytes;
  bool end = false;
  const Fields* trailers = nullptr;  // with `end` only; null when there are none
};
using ChunkResult = std::expected<Chunk, Error>;

/// A body as a stream. Read by one reader, to the end, to an error, or not at all.
class BodyReader {
 public:
  virtual ~BodyReader() = default;

  struct ReadAwait {
    BodyReader& reader;
    ChunkResult result = Chunk();
    std::coroutine_handle<io::Task<ChunkResult>::promise_type> waiting = nullptr;

    bool await_ready() { return reader.try_read(result); }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> waiter) {
      waiting = reader.wait_read().release();
      waiting.promise().continuation = waiter;
      return waiting;
    }
    ChunkResult await_resume() {
      if (!waiting) return std::move(result);
      struct Destroy {
        std::coroutine_handle<> handle;
        ~Destroy() { handle.destroy(); }
      } destroy{waiting};
      return waiting.promise().take();
    }
  };
  /// The next chunk; it has bytes, or `end`, or is an error, after which nothing more may be read.
  ReadAwait read() { return {*this}; }
  /// True with `result` when a chunk, the end or an error is at hand.
  virtual bool try_read(ChunkResult& result) = 0;

 protected:
  /// Called after `try_read` returned false.
  virtual io::Task<ChunkResult> wait_read() = 0;
};

/// What a message is sent with: nothing, bytes that can be sent again, or a stream that is read once.
struct Body {
  std::string_view bytes;
  BodyReader* stream = nullptr;  // borrowed; lives until the message is sent

  static Body none() { return {}; }
  static Body of(std::string_view bytes) { return {bytes, nullptr}; }
  static Body of(BodyReader& stream) { return {{}, &stream}; }
  bool empty() const { return bytes.empty() && !stream; }
};

}  // namespace sluice::http
