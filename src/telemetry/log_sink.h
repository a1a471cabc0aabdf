// Where a worker's log lines go: blocks of memory that travel between a worker and whoever writes them. An
// interface, so that the simulator, which has no threads, can take the writer's place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace sluice::telemetry {

/// Whole lines, each with its newline.
struct LogBlock {
  static constexpr size_t kBytes = 64 * 1024;
  size_t used = 0;
  uint32_t lines = 0;
  char bytes[kBytes];

  std::string_view text() const { return {bytes, used}; }
};

/// One worker's way to the writer. For that worker's thread only; neither method ever waits.
class LogChannel {
 public:
  virtual ~LogChannel() = default;
  /// An empty block, or null when the writer is behind. At most one is out at a time.
  virtual LogBlock* take() = 0;
  /// Hands the block that was taken to the writer. Never fails: the channel has room for all its blocks.
  virtual void give(LogBlock* block) = 0;
};

class LogSink {
 public:
  virtual ~LogSink() = default;
  /// The sink outlives its channels. Blocks that were given reach the destination in each channel's order.
  virtual std::unique_ptr<LogChannel> open_channel() = 0;
  /// Opens the destination anew (log rotation, SIGHUP); what cannot be opened leaves the old one in use.
  virtual void reopen() = 0;
  /// Lines that were handed over and could not be written (full disk, closed pipe, still behind at the end).
  virtual uint64_t lost_lines() const = 0;
};

}  // namespace sluice::telemetry
