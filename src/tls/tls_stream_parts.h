// What the two halves of TlsStream share: the coroutines that go on when the stream below waits.
#pragma once

#include <coroutine>
#include <memory>
#include <optional>

#include "io/frame_pool.h"
#include "io/sleep.h"
#include "tls/tls_stream.h"

namespace sluice::tls {

/// What one record holds (RFC 8446, section 5.1), and what it takes at most encrypted: header, content type,
/// padding and tag (section 5.2).
constexpr size_t kRecordBytes = 16 * 1024;
constexpr size_t kSealedRecordBytes = kRecordBytes + 256 + 5;

/// A coroutine that begins at once, that nobody awaits, and that says who is to be resumed when it has ended.
class TlsStream::Pump {
 public:
  struct promise_type {
    std::coroutine_handle<> next;

    static void* operator new(size_t bytes) { return io::allocate_frame(bytes); }
    static void operator delete(void* block, size_t bytes) { io::release_frame(block, bytes); }
    Pump get_return_object() const noexcept { return {}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    struct Final {
      bool await_ready() const noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> ended) const noexcept {
        std::coroutine_handle<> waiter = ended.promise().next;
        ended.destroy();
        return waiter;
      }
      void await_resume() const noexcept {}
    };
    Final final_suspend() const noexcept { return {}; }
    void return_value(std::coroutine_handle<> resumed_next) noexcept { next = resumed_next; }
    void unhandled_exception() const noexcept { std::terminate(); }
  };
};

/// Lives in the frame of `pump_aside`. When the TlsStream goes first, the stream below comes here.
struct TlsStream::Aside {
  TlsStream* owner;
  io::CancelToken token;
  std::unique_ptr<io::Stream> orphan;
  std::optional<io::Deadline> deadline;
};

}  // namespace sluice::tls
