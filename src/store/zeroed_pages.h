// A large piece of zeroed memory straight from the kernel: pages that nobody touches cost nothing.
#pragma once

#include <cstddef>

namespace sluice::store {

/// Owns an anonymous mapping. Large ones ask for huge pages, since the tables built in them are read at
/// random.
class ZeroedPages {
 public:
  ZeroedPages() = default;
  /// Throws std::bad_alloc.
  explicit ZeroedPages(size_t bytes);
  ZeroedPages(ZeroedPages&& other) noexcept : data_(other.data_), bytes_(other.bytes_) {
    other.data_ = nullptr;
    other.bytes_ = 0;
  }
  ZeroedPages& operator=(ZeroedPages&& other) noexcept;
  ~ZeroedPages();

  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 private:
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace sluice::store
