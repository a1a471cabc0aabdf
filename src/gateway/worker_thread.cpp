#include "gateway/worker_thread.h"

namespace sluice::gateway {

WorkerThread::WorkerThread(std::unique_ptr<io::SystemLoop> loop, Services& services, telemetry::LogSink* log,
                           telemetry::LogFormat format, std::shared_ptr<const Snapshot> snapshot)
    : loop_(std::move(loop)),
      services_(services),
      metrics_(services.registry.attach()),
      thread_([this, log, format, first = std::move(snapshot)] { run(log, format, first); }) {}

WorkerThread::~WorkerThread() { thread_.join(); }

void WorkerThread::run(telemetry::LogSink* log, telemetry::LogFormat format,
                       std::shared_ptr<const Snapshot> snapshot) {
  io::CurrentLoop current(*loop_);
  std::unique_ptr<telemetry::AccessLog> access_log;
  if (log)
    access_log = std::make_unique<telemetry::AccessLog>(log->open_channel(), format, metrics_,
                                                        services_.metrics.log_dropped());
  worker_ = std::make_unique<Worker>(*loop_, services_, std::move(access_log), metrics_, std::move(snapshot));
  loop_->run();
  worker_.reset();
  loop_->let_go();
}

void WorkerThread::post(Work work) {
  loop_->post([this, run = std::move(work)]() mutable { run(*worker_); });
}

void WorkerThread::finish(std::move_only_function<void()> ended) {
  loop_->post([this, ended = std::move(ended)]() mutable { scope_.spawn(end(std::move(ended))); });
}

io::Task<> WorkerThread::end(std::move_only_function<void()> ended) {
  co_await worker_->join();
  loop_->stop();
  ended();
}

}  // namespace sluice::gateway
