// A body whose beginning was read to decide on the route: the beginning again, then the rest.
#pragma once

#include <optional>

#include "base/arena.h"
#include "gateway/router/request_view.h"
#include "http/body.h"
#include "io/task.h"

namespace sluice::gateway {

class PrefixedBody final : public http::BodyReader {
 public:
  PrefixedBody(http::BodyReader& rest, Arena& arena) : rest_(rest), arena_(arena) {}

  /// Reads until `bytes` are there or the body ends; the error is the body's. Once, before anything else.
  io::Task<std::optional<http::Error>> read_prefix(size_t bytes);
  BodyPrefix prefix() const { return {prefix_, ended_}; }

  bool try_read(http::ChunkResult& result) override;

 private:
  io::Task<http::ChunkResult> wait_read() override;

  http::BodyReader& rest_;
  Arena& arena_;
  std::string_view prefix_;
  bool given_ = false;
  bool ended_ = false;
  const http::Fields* trailers_ = nullptr;
};

}  // namespace sluice::gateway
