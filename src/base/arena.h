// A bump allocator for what lives as long as one exchange: nothing is freed one by one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <string_view>
#include <type_traits>

namespace sluice {

/// Hands out memory from blocks; all of it goes back at once with `reset()` or the destructor. Destructors of
/// what was made in it do not run, so only trivially destructible things live here. Not thread-safe.
/// A block that was given in the constructor is used first and is never freed.
class Arena {
 public:
  static constexpr size_t kBlockBytes = 4096;

  Arena() = default;
  explicit Arena(std::span<std::byte> first) { use(first); }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena() { free_blocks(); }

  void* allocate(size_t bytes, size_t alignment = alignof(std::max_align_t)) {
    auto at = (position_ + alignment - 1) & ~(uintptr_t{alignment} - 1);
    if (at + bytes > end_) [[unlikely]]
      return allocate_slow(bytes, alignment);
    position_ = at + bytes;
    return reinterpret_cast<void*>(at);
  }
  char* allocate_chars(size_t count) { return static_cast<char*>(allocate(count, 1)); }

  template <class T>
  std::span<T> allocate_array(size_t count) {
    static_assert(std::is_trivially_destructible_v<T>);
    T* first = static_cast<T*>(allocate(count * sizeof(T), alignof(T)));
    std::uninitialized_default_construct_n(first, count);
    return {first, count};
  }
  template <class T, class... A>
  T* make(A&&... arguments) {
    static_assert(std::is_trivially_destructible_v<T>);
    return new (allocate(sizeof(T), alignof(T))) T{static_cast<A&&>(arguments)...};
  }
  std::string_view copy(std::string_view text) {
    if (text.empty()) return {};
    char* to = allocate_chars(text.size());
    std::memcpy(to, text.data(), text.size());
    return {to, text.size()};
  }
  /// The texts one after another, in one piece.
  template <class... Texts>
  std::string_view concat(const Texts&... texts) {
    size_t total = (std::string_view(texts).size() + ... + 0);
    char* to = allocate_chars(total);
    char* at = to;
    auto append = [&](std::string_view text) {
      if (!text.empty()) std::memcpy(at, text.data(), text.size());
      at += text.size();
    };
    (append(std::string_view(texts)), ...);
    return {to, total};
  }

  /// Bytes taken from the system beyond the first block.
  size_t block_bytes() const { return block_bytes_; }
  /// Gives everything back; a first block given in the constructor is used again.
  void reset() {
    free_blocks();
    use(first_);
  }

 private:
  struct Block {
    Block* next;
  };
  void use(std::span<std::byte> first) {
    first_ = first;
    position_ = reinterpret_cast<uintptr_t>(first.data());
    end_ = position_ + first.size();
  }
  void* allocate_slow(size_t bytes, size_t alignment) {
    size_t size = sizeof(Block) + bytes + alignment;
    if (size < kBlockBytes) size = kBlockBytes;
    auto* block = static_cast<Block*>(std::malloc(size));
    if (!block) throw std::bad_alloc();
    block->next = blocks_;
    blocks_ = block;
    block_bytes_ += size;
    position_ = reinterpret_cast<uintptr_t>(block + 1);
    end_ = reinterpret_cast<uintptr_t>(block) + size;
    auto at = (position_ + alignment - 1) & ~(uintptr_t{alignment} - 1);
    position_ = at + bytes;
    return reinterpret_cast<void*>(at);
  }
  void free_blocks() {
    while (blocks_) {
      Block* next = blocks_->next;
      std::free(blocks_);
      blocks_ = next;
    }
    block_bytes_ = 0;
  }

  uintptr_t position_ = 0;
  uintptr_t end_ = 0;
  Block* blocks_ = nullptr;
  size_t block_bytes_ = 0;
  std::span<std::byte> first_;
};

}  // namespace sluice
