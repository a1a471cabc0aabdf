// A worker on a thread of its own, with its loop.
#pragma once

#include <functional>
#include <memory>
#include <thread>

#include "gateway/data_plane.h"
#include "io/system_loop.h"
#include "telemetry/log_sink.h"

namespace sluice::gateway {

class WorkerThread final : public WorkerHost {
 public:
  /// `log` may be null. Starts at once, without listening.
  WorkerThread(std::unique_ptr<io::SystemLoop> loop, Services& services, telemetry::LogSink* log,
               telemetry::LogFormat format, std::shared_ptr<const Snapshot> snapshot);
  /// Waits for the thread; after `finish`, or it waits for ever.
  ~WorkerThread() override;

  void post(Work work) override;
  void finish(std::move_only_function<void()> ended) override;
  /// See io::Loop::busy_nanoseconds; any thread.
  int64_t busy_nanoseconds() const { return loop_->busy_nanoseconds(); }

 private:
  void run(telemetry::LogSink* log, telemetry::LogFormat format, std::shared_ptr<const Snapshot> snapshot);
  io::Task<> end(std::move_only_function<void()> ended);

  std::unique_ptr<io::SystemLoop> loop_;
  Services& services_;
  telemetry::WorkerMetrics& metrics_;
  std::unique_ptr<Worker> worker_;
  io::TaskScope scope_;
  std::thread thread_;
};

}  // namespace sluice::gateway
