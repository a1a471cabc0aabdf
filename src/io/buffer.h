// Buffers that a loop lends to whoever reads: taken when bytes are there, given back as soon as they are
// used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>

namespace sluice::io {

struct Buffer;

/// Who takes a buffer back once it is used.
class BufferOwner {
 public:
  virtual void give_back(Buffer* buffer) = 0;

 protected:
  ~BufferOwner() = default;
};

struct Buffer {
  BufferOwner* owner;
  Buffer* next;
  uint32_t capacity;
  uint32_t size;  // free for whoever has the buffer
  char* data() { return reinterpret_cast<char*>(this + 1); }
};

/// Free lists of two sizes, the last one given back taken first, while it is warm. Not thread-safe.
class BufferPool final : public BufferOwner {
 public:
  static constexpr uint32_t kSmallBytes = 64 * 1024;
  static constexpr uint32_t kLargeBytes = 128 * 1024;
  static constexpr size_t kKept = 64;  // free buffers of each size; more go back to the system

  BufferPool() = default;
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;
  ~BufferPool();

  Buffer* take(bool large);
  void give_back(Buffer* buffer) override;
  size_t lent() const { return lent_; }

 private:
  struct List {
    Buffer* first = nullptr;
    size_t count = 0;
  };
  List small_;
  List large_;
  size_t lent_ = 0;
};

/// Received bytes in a lent buffer. Empty: the end of the stream.
class Lease {
 public:
  Lease() = default;
  Lease(Buffer* buffer, uint32_t size) : buffer_(buffer), end_(size) {}
  Lease(Lease&& other) noexcept
      : buffer_(std::exchange(other.buffer_, nullptr)),
        begin_(std::exchange(other.begin_, 0)),
        end_(std::exchange(other.end_, 0)) {}
  Lease& operator=(Lease&& other) noexcept {
    if (this != &other) {
      release();
      buffer_ = std::exchange(other.buffer_, nullptr);
      begin_ = std::exchange(other.begin_, 0);
      end_ = std::exchange(other.end_, 0);
    }
    return *this;
  }
  ~Lease() { release(); }

  std::string_view bytes() const {
    return buffer_ ? std::string_view(buffer_->data() + begin_, end_ - begin_) : std::string_view();
  }
  bool empty() const { return begin_ == end_; }
  size_t size() const { return end_ - begin_; }
  /// Forgets the first `count` bytes.
  void consume(size_t count) { begin_ += static_cast<uint32_t>(count); }
  /// Puts `bytes` behind its own where its buffer has room for them.
  bool append(std::string_view bytes) {
    if (!buffer_ || buffer_->capacity - end_ < bytes.size()) return false;
    std::memcpy(buffer_->data() + end_, bytes.data(), bytes.size());
    end_ += static_cast<uint32_t>(bytes.size());
    return true;
  }
  void release() {
    if (buffer_) buffer_->owner->give_back(buffer_);
    buffer_ = nullptr;
    begin_ = end_ = 0;
  }

 private:
  Buffer* buffer_ = nullptr;
  uint32_t begin_ = 0;
  uint32_t end_ = 0;
};

}  // namespace sluice::io
