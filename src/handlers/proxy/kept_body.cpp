#include "handlers/proxy/kept_body.h"

#include <algorithm>

namespace sluice::handlers {

bool KeptBody::try_read(http::ChunkResult& result) {
  if (std::exchange(again_, false)) {
    result = http::Chunk{.bytes = {kept_, kept_bytes_}, .end = true, .trailers = trailers_};
    return true;
  }
  if (!source_.try_read(result)) return false;
  keep(result);
  return true;
}

io::Task<http::ChunkResult> KeptBody::wait_read() {
  auto result = co_await source_.read();
  keep(result);
  co_return result;
}

void KeptBody::keep(const http::ChunkResult& result) {
  if (!keeps_ || !result) return;
  size_t bytes = kept_bytes_ + result->bytes.size();
  keeps_ = bytes <= most_;
  if (!keeps_) return;
  if (bytes > capacity_) {
    capacity_ = result->end ? bytes : std::max(bytes, std::min(2 * bytes, most_));
    char* larger = arena_.allocate_chars(capacity_);
    std::copy_n(kept_, kept_bytes_, larger);
    kept_ = larger;
  }
  std::copy_n(result->bytes.data(), result->bytes.size(), kept_ + kept_bytes_);
  kept_bytes_ = bytes;
  ended_ = result->end;
  trailers_ = result->trailers;
}

}  // namespace sluice::handlers
