// StreamHead: the first bytes of a connection, looked at before anybody knows who is to read them, and given
// back unread.
#pragma once

#include <string_view>

#include "io/loop.h"
#include "io/stream.h"
#include "io/task.h"

namespace sluice::io {

class StreamHead {
 public:
  /// At most this much is gathered.
  static constexpr size_t kMaxBytes = BufferPool::kSmallBytes;

  StreamHead(Loop& loop, Stream& stream) : loop_(loop), stream_(stream) {}
  StreamHead(const StreamHead&) = delete;
  StreamHead& operator=(const StreamHead&) = delete;

  std::string_view bytes() const { return lease_.bytes(); }
  /// Waits for more of them. kClosed: the stream has ended; kFull: as many as can be gathered are there.
  Task<Result<>> more();
  /// The first `count` bytes are nobody else's business.
  void consume(size_t count) { lease_.consume(count); }
  /// Whoever reads the stream next gets what was not consumed.
  void give_back() {
    if (!lease_.empty()) stream_.unread(std::move(lease_));
    lease_.release();
  }

 private:
  Loop& loop_;
  Stream& stream_;
  Lease lease_;
};

}  // namespace sluice::io
