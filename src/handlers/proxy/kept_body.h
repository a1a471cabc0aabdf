// A request's body that is kept as it passes, as long as it is small, so that the request can be sent again.
#pragma once

#include "base/arena.h"
#include "http/body.h"

namespace sluice::handlers {

class KeptBody final : public http::BodyReader {
 public:
  /// Keeps up to `most` bytes, in `arena`. All must outlive it.
  KeptBody(http::BodyReader& source, size_t most, Arena& arena)
      : source_(source), most_(most), arena_(arena) {}
  bool try_read(http::ChunkResult& result) override;
  /// It has come as a whole and is kept.
  bool kept() const { return keeps_ && ended_; }
  /// Larger than is kept.
  bool too_large_to_keep() const { return !keeps_; }
  /// Nobody reads any more: the next reader gets all of it again, if it is kept.
  void rewind() { again_ = kept(); }

 private:
  io::Task<http::ChunkResult> wait_read() override;
  void keep(const http::ChunkResult& result);

  http::BodyReader& source_;
  const size_t most_;
  Arena& arena_;
  char* kept_ = nullptr;
  size_t kept_bytes_ = 0;
  size_t capacity_ = 0;
  bool keeps_ = true;
  bool ended_ = false;
  bool again_ = false;
  const http::Fields* trailers_ = nullptr;
};

}  // namespace sluice::handlers
