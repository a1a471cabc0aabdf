// Memory of coroutine frames, recycled by a loop: a frame costs a pop from a list, not a malloc.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace sluice::io {

/// Free lists by size, one step for each 64 bytes. Blocks come from malloc one by one, so that a frame may be
/// freed after its pool is gone. Not thread-safe: a pool belongs to one loop.
class FramePool {
 public:
  static constexpr size_t kStepBytes = 64;
  static constexpr size_t kLargestBytes = 4096;         // larger frames go to malloc directly
  static constexpr size_t kKeptBytesPerSize = 1 << 20;  // more free memory of one size goes back to malloc

  FramePool() = default;
  FramePool(const FramePool&) = delete;
  FramePool& operator=(const FramePool&) = delete;
  ~FramePool();

  void* allocate(size_t bytes) {
    ++lent_;
    size_t step = (bytes - 1) / kStepBytes;
    if (bytes > kLargestBytes || !lists_[step].first) [[unlikely]]
      return allocate_from_system(bytes);
    List& list = lists_[step];
    Free* block = list.first;
    list.first = block->next;
    --list.count;
    return block;
  }
  void release(void* block, size_t bytes) {
    --lent_;
    size_t step = (bytes - 1) / kStepBytes;
    if (bytes > kLargestBytes || (lists_[step].count + 1) * (step + 1) * kStepBytes > kKeptBytesPerSize)
        [[unlikely]]
      return release_to_system(block);
    List& list = lists_[step];
    auto* free = static_cast<Free*>(block);
    free->next = list.first;
    list.first = free;
    ++list.count;
  }

  /// Blocks out now; what one pool lent another may have got back.
  ptrdiff_t lent() const { return lent_; }

  static void* allocate_from_system(size_t bytes);
  static void release_to_system(void* block);

 private:
  struct Free {
    Free* next;
  };
  struct List {
    Free* first = nullptr;
    size_t count = 0;
  };
  std::array<List, kLargestBytes / kStepBytes> lists_;
  ptrdiff_t lent_ = 0;
};

/// From the pool of the current loop, or from the system where there is none.
void* allocate_frame(size_t bytes);
void release_frame(void* block, size_t bytes);

}  // namespace sluice::io
