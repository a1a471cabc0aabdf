#include "io/stream_head.h"

#include <cstring>

namespace sluice::io {

Task<Result<>> StreamHead::more() {
  auto lease = co_await stream_.read();
  if (!lease) co_return std::unexpected(lease.error());
  if (lease->empty()) co_return fail(ErrorCode::kClosed);
  if (lease_.empty()) {
    lease_ = std::move(*lease);
    co_return Result<>{};
  }
  if (lease_.append(lease->bytes())) co_return Result<>{};
  // A small buffer of a ring, full: goes on in one of the pool's.
  Buffer* buffer = loop_.buffers().take(false);
  std::string_view before = lease_.bytes();
  Lease joined(buffer, static_cast<uint32_t>(before.size()));
  std::memcpy(buffer->data(), before.data(), before.size());
  if (!joined.append(lease->bytes())) co_return fail(ErrorCode::kFull);
  lease_ = std::move(joined);
  co_return Result<>{};
}

}  // namespace sluice::io
