// Mirroring: copies of requests to other upstreams, whose answers nobody sees. The exchange is never delayed
// by them, and never fails for them.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "gateway/exchange.h"
#include "gateway/handler_types.h"

namespace sluice::handlers {

/// Copies the body on its way to the upstream, as long as it is small enough.
class MirroredBody final : public http::BodyReader {
 public:
  MirroredBody(http::BodyReader& source, uint64_t most) : source_(source), most_(most) {}
  bool try_read(http::ChunkResult& result) override;
  /// All of it has been read, and is `text()`.
  bool whole() const { return ended_ && !too_large_; }
  bool too_large() const { return too_large_; }
  const std::string& text() const { return text_; }

 private:
  io::Task<http::ChunkResult> wait_read() override;
  void accept(const http::ChunkResult& result);

  http::BodyReader& source_;
  const uint64_t most_;
  std::string text_;
  bool ended_ = false;
  bool too_large_ = false;
};

/// What one exchange mirrors. Once its request is prepared, and before its body is read.
class Mirroring {
 public:
  /// Chooses among `mirrors` by their shares; the body of `exchange` is read through this from now on.
  Mirroring(gateway::Exchange& exchange, std::span<const gateway::MirrorChoice> mirrors);
  /// Sends the copies, as far as the body has come and may be mirrored; at the latest when the exchange ends.
  void send();

 private:
  gateway::Exchange& exchange_;
  const std::span<const gateway::MirrorChoice> mirrors_;
  uint64_t chosen_ = 0;  // a bit each
  std::optional<MirroredBody> body_;
};

}  // namespace sluice::handlers
