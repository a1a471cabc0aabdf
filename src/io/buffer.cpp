#include "io/buffer.h"

#include <cassert>
#include <cstdlib>
#include <new>

namespace sluice::io {

BufferPool::~BufferPool() {
  assert(lent_ == 0);
  for (List* list : {&small_, &large_})
    while (Buffer* buffer = list->first) {
      list->first = buffer->next;
      std::free(buffer);
    }
}

Buffer* BufferPool::take(bool large) {
  List& list = large ? large_ : small_;
  ++lent_;
  if (Buffer* buffer = list.first) {
    list.first = buffer->next;
    --list.count;
    return buffer;
  }
  uint32_t capacity = large ? kLargeBytes : kSmallBytes;
  auto* buffer = static_cast<Buffer*>(std::malloc(sizeof(Buffer) + capacity));
  if (!buffer) throw std::bad_alloc();
  buffer->owner = this;
  buffer->next = nullptr;
  buffer->capacity = capacity;
  return buffer;
}

void BufferPool::give_back(Buffer* buffer) {
  --lent_;
  List& list = buffer->capacity == kLargeBytes ? large_ : small_;
  if (list.count == kKept) {
    std::free(buffer);
    return;
  }
  buffer->next = list.first;
  list.first = buffer;
  ++list.count;
}

}  // namespace sluice::io
