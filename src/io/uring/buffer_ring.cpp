#include "io/uring/buffer_ring.h"

#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <system_error>

namespace sluice::io {

namespace {

void* map_memory(size_t bytes) {
  void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return at == MAP_FAILED ? nullptr : at;
}

}  // namespace

std::expected<void, std::string> BufferRing::open(Ring& ring) {
  offered_ = static_cast<io_uring_buf*>(map_memory(kCount * sizeof(io_uring_buf)));
  buffers_ = static_cast<char*>(map_memory(kCount * kStride));
  if (!offered_ || !buffers_) return std::unexpected("io_uring: no memory for its buffers");
  if (int system = ring.register_buffers(offered_, kCount, kGroup))
    return std::unexpected("io_uring: registering buffers: " + std::generic_category().message(system));
  for (unsigned i = 0; i < kCount; ++i) {
    Buffer* buffer = at(i);
    buffer->owner = this;
    buffer->next = nullptr;
    buffer->capacity = kBytes;
    offer(buffer, i);
  }
  return {};
}

BufferRing::~BufferRing() {
  if (offered_) munmap(offered_, kCount * sizeof(io_uring_buf));
  if (buffers_) munmap(buffers_, kCount * kStride);
}

void BufferRing::give_back(Buffer* buffer) {
  auto offset = static_cast<size_t>(reinterpret_cast<char*>(buffer) - buffers_);
  --lent_;
  offer(buffer, static_cast<unsigned>(offset / kStride));
}

void BufferRing::offer(Buffer* buffer, unsigned number) {
  // The first entry's `resv` is the ring's tail (struct io_uring_buf_ring), so an entry is written by field.
  io_uring_buf& entry = offered_[tail_ & (kCount - 1)];
  entry.addr = reinterpret_cast<uint64_t>(buffer->data());
  entry.len = buffer->capacity;
  entry.bid = static_cast<uint16_t>(number);
  std::atomic_ref<uint16_t>(offered_[0].resv).store(++tail_, std::memory_order_release);
}

}  // namespace sluice::io
