// The sink of the real process: one thread that takes full blocks from every worker and writes them to
// standard output or a file. A destination that is slow or blocked holds up this thread and nobody else.
#pragma once

#include <atomic>
#include <cstdint>
#include <expected>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/time.h"
#include "telemetry/log_sink.h"

namespace sluice::telemetry {

class LogDestination;

class LogWriter : public LogSink {
 public:
  /// Blocks a channel owns; memory a worker: at most this times 64 KiB, taken when first needed.
  static constexpr size_t kBlocksPerChannel = 16;
  /// How long the destructor lets the writer finish what it was given.
  static constexpr Duration kDrainTime = std::chrono::seconds(2);

  /// `path`: "stdout", "stderr" or a file, created with mode 0640 and appended to. The error is a sentence.
  static std::expected<std::unique_ptr<LogWriter>, std::string> open(std::string path,
                                                                     Duration drain_time = kDrainTime);
  ~LogWriter() override;

  std::unique_ptr<LogChannel> open_channel() override;
  void reopen() override;
  uint64_t lost_lines() const override { return lost_lines_.load(std::memory_order_relaxed); }

 private:
  class Channel;
  struct Queue;

  LogWriter(std::unique_ptr<LogDestination> destination, Duration drain_time);
  void wake();
  void run();
  bool write_queues();
  void write_block(const LogBlock& block);
  bool out_of_time() const;
  void reopen_if_asked();

  std::unique_ptr<LogDestination> destination_;
  Duration drain_time_;
  std::mutex queues_mutex_;  // guards the list, which changes when a channel is opened or has been closed and
                             // emptied
  std::vector<std::shared_ptr<Queue>> queues_;
  std::atomic<uint32_t> wakes_ = 0;
  std::atomic<bool> stop_ = false;
  std::atomic<int64_t> give_up_at_ = 0;  // of the steady clock, once `stop_` is set
  std::atomic<bool> reopen_ = false;
  std::atomic<uint64_t> lost_lines_ = 0;
  bool mid_line_ = false;  // the writer thread's
  bool failing_ = false;   // the writer thread's
  std::thread thread_;
};

}  // namespace sluice::telemetry
