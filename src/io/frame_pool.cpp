#include "io/frame_pool.h"

#include <cstdlib>
#include <new>

#include "io/loop.h"

namespace sluice::io {

FramePool::~FramePool() {
  for (List& list : lists_)
    while (Free* block = list.first) {
      list.first = block->next;
      std::free(block);
    }
}

void* FramePool::allocate_from_system(size_t bytes) {
  // Rounded up to its step, so that the block fits whatever frame its list hands it to next.
  void* block = std::malloc((bytes + kStepBytes - 1) / kStepBytes * kStepBytes);
  if (!block) throw std::bad_alloc();
  return block;
}

void FramePool::release_to_system(void* block) { std::free(block); }

void* allocate_frame(size_t bytes) {
  return current_loop ? current_loop->frames().allocate(bytes) : FramePool::allocate_from_system(bytes);
}

void release_frame(void* block, size_t bytes) {
  if (current_loop)
    current_loop->frames().release(block, bytes);
  else
    FramePool::release_to_system(block);
}

}  // namespace sluice::io
