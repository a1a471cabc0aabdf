#include "store/zeroed_pages.h"

#include <sys/mman.h>

#include <cstdint>
#include <new>
#include <utility>

namespace sluice::store {

namespace {

constexpr size_t kPage = 4096;
constexpr size_t kHugePage = size_t{2} << 20;

char* map(size_t bytes) {
  void* data =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) throw std::bad_alloc();
  return static_cast<char*>(data);
}

/// Begins at a multiple of a huge page, since the kernel can use one only there.
char* map_aligned(size_t bytes) {
  char* data = map(bytes + kHugePage);
  size_t before = -reinterpret_cast<uintptr_t>(data) & (kHugePage - 1);
  if (before) munmap(data, before);
  munmap(data + before + bytes, kHugePage - before);
  madvise(data + before, bytes, MADV_HUGEPAGE);  // a wish: where it is refused, small pages do
  return data + before;
}

}  // namespace

ZeroedPages::ZeroedPages(size_t bytes) : bytes_((bytes + kPage - 1) & ~(kPage - 1)) {
  data_ = bytes_ >= kHugePage ? map_aligned(bytes_) : map(bytes_);
}

ZeroedPages& ZeroedPages::operator=(ZeroedPages&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

ZeroedPages::~ZeroedPages() {
  if (data_) munmap(data_, bytes_);
}

}  // namespace sluice::store
