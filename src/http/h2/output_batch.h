// What leaves a connection in one write: frames of many streams. Small ones are copied one behind the other,
// for a piece costs more than that; large payloads are only pointed at.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>

#include "io/buffer.h"

namespace sluice::http::h2 {

class OutputBatch {
 public:
  /// A payload up to this size is copied.
  static constexpr size_t kCopiedBytes = 4096;

  explicit OutputBatch(io::BufferPool& pool) : buffer_(pool.take(false)) {}
  OutputBatch(const OutputBatch&) = delete;
  OutputBatch& operator=(const OutputBatch&) = delete;
  ~OutputBatch() { buffer_->owner->give_back(buffer_); }

  bool empty() const { return count_ == 0; }
  /// Whether so much more can be copied, and a payload be pointed at.
  bool has_room(size_t bytes) const {
    return bytes <= buffer_->capacity - used_ && count_ + 2 <= pieces_.size() && referred_ < kMostReferred;
  }
  /// Only what there is room for.
  void copy(std::string_view bytes) {
    char* to = buffer_->data() + used_;
    std::memcpy(to, bytes.data(), bytes.size());
    used_ += bytes.size();
    if (open_)
      pieces_[count_ - 1].iov_len += bytes.size();
    else
      pieces_[count_++] = {to, bytes.size()};
    open_ = true;
  }
  /// `bytes` live until the batch is written.
  void refer(std::string_view bytes) {
    pieces_[count_++] = {const_cast<char*>(bytes.data()), bytes.size()};
    referred_ += bytes.size();
    open_ = false;
  }

  std::span<const iovec> pieces() const { return {pieces_.data(), count_}; }
  void clear() {
    count_ = used_ = referred_ = 0;
    open_ = false;
  }

 private:
  static constexpr size_t kMostReferred = 256 * 1024;

  io::Buffer* buffer_;
  std::array<iovec, 64> pieces_;
  size_t count_ = 0;
  size_t used_ = 0;      // bytes of the buffer
  size_t referred_ = 0;  // bytes elsewhere
  bool open_ = false;    // the last piece ends where the buffer goes on
};

}  // namespace sluice::http::h2
