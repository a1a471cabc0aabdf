// BufferRing: buffers that the kernel takes from when bytes come, so that a connection that waits holds none.
// They come to readers as leases, and go back into the ring when a lease ends.
#pragma once

#include <linux/io_uring.h>

#include <string>

#include "io/buffer.h"
#include "io/uring/ring.h"

namespace sluice::io {

class BufferRing final : public BufferOwner {
 public:
  static constexpr unsigned kCount = 256;  // a power of two
  static constexpr unsigned short kGroup = 0;
  static constexpr uint32_t kBytes = 8 * 1024;

  BufferRing() = default;
  BufferRing(const BufferRing&) = delete;
  BufferRing& operator=(const BufferRing&) = delete;
  ~BufferRing();

  /// Once; the error says in words what the system refused.
  std::expected<void, std::string> open(Ring& ring);

  /// The buffer that the kernel has filled with `size` bytes.
  Buffer* take(unsigned number, uint32_t size) {
    Buffer* buffer = at(number);
    buffer->size = size;
    ++lent_;
    return buffer;
  }
  size_t lent() const { return lent_; }
  void give_back(Buffer* buffer) override;

 private:
  // An odd number of cache lines apart, so that the buffers' beginnings do not fight for the same lines.
  static constexpr size_t kStride = kBytes + 64;
  static_assert(sizeof(Buffer) <= 64);

  Buffer* at(unsigned number) { return reinterpret_cast<Buffer*>(buffers_ + number * kStride); }
  void offer(Buffer* buffer, unsigned number);

  io_uring_buf* offered_ = nullptr;
  char* buffers_ = nullptr;
  uint16_t tail_ = 0;
  size_t lent_ = 0;
};

}  // namespace sluice::io
