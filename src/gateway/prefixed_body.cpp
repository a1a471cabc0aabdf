#include "gateway/prefixed_body.h"

namespace sluice::gateway {

io::Task<std::optional<http::Error>> PrefixedBody::read_prefix(size_t bytes) {
  size_t capacity = 0;
  char* text = nullptr;
  while (!ended_ && prefix_.size() < bytes) {
    auto chunk = co_await rest_.read();
    if (!chunk) co_return chunk.error();
    size_t size = prefix_.size();
    if (size + chunk->bytes.size() > capacity) {
      capacity = std::max(capacity * 2, size + chunk->bytes.size());
      char* larger = arena_.allocate_chars(capacity);
      if (size) std::memcpy(larger, text, size);
      text = larger;
    }
    if (!chunk->bytes.empty()) std::memcpy(text + size, chunk->bytes.data(), chunk->bytes.size());
    prefix_ = {text, size + chunk->bytes.size()};
    ended_ = chunk->end;
    trailers_ = chunk->trailers;
  }
  co_return std::nullopt;
}

bool PrefixedBody::try_read(http::ChunkResult& result) {
  if (!given_ && (!prefix_.empty() || ended_)) {
    given_ = true;
    result = http::Chunk{prefix_, ended_, trailers_};
    return true;
  }
  if (ended_) {
    result = http::Chunk{{}, true, nullptr};
    return true;
  }
  return rest_.try_read(result);
}

io::Task<http::ChunkResult> PrefixedBody::wait_read() {
  auto chunk = co_await rest_.read();
  co_return chunk;
}

}  // namespace sluice::gateway
