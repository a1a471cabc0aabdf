#include "telemetry/log_writer.h"

#include <signal.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <system_error>

#include "telemetry/log_destination.h"
#include "telemetry/process_log.h"
#include "telemetry/spsc_ring.h"

namespace sluice::telemetry {
namespace {

using Steady = std::chrono::steady_clock;

/// How often a writer that waits for its destination looks whether it shall stop.
constexpr Duration kPatience = std::chrono::milliseconds(50);

}  // namespace

/// What a channel and the writer share.
struct LogWriter::Queue {
  SpscRing<LogBlock*, kBlocksPerChannel> full;
  SpscRing<LogBlock*, kBlocksPerChannel> empty;
  std::array<std::unique_ptr<LogBlock>, kBlocksPerChannel> blocks;  // filled by the channel's thread only
  std::atomic<bool> closed = false;
};

class LogWriter::Channel : public LogChannel {
 public:
  Channel(LogWriter& writer, std::shared_ptr<Queue> queue) : writer_(writer), queue_(std::move(queue)) {}
  ~Channel() override {
    queue_->closed.store(true, std::memory_order_release);
    writer_.wake();
  }

  LogBlock* take() override {
    if (auto block = queue_->empty.pop()) return *block;
    if (made_ == kBlocksPerChannel) return nullptr;
    queue_->blocks[made_].reset(new LogBlock);  // its bytes stay uninitialized
    return queue_->blocks[made_++].get();
  }
  void give(LogBlock* block) override {
    queue_->full.push(block);
    writer_.wake();
  }

 private:
  LogWriter& writer_;
  std::shared_ptr<Queue> queue_;
  size_t made_ = 0;
};

std::expected<std::unique_ptr<LogWriter>, std::string> LogWriter::open(std::string path,
                                                                       Duration drain_time) {
  auto destination = LogDestination::open(std::move(path));
  if (!destination) return std::unexpected(destination.error());
  return std::unique_ptr<LogWriter>(new LogWriter(std::move(*destination), drain_time));
}

LogWriter::LogWriter(std::unique_ptr<LogDestination> destination, Duration drain_time)
    : destination_(std::move(destination)), drain_time_(drain_time) {
  // The thread inherits a mask that leaves every signal, SIGPIPE too, to others.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

LogWriter::~LogWriter() {
  give_up_at_.store((Steady::now() + drain_time_).time_since_epoch().count(), std::memory_order_relaxed);
  stop_.store(true, std::memory_order_release);
  wake();
  thread_.join();
}

std::unique_ptr<LogChannel> LogWriter::open_channel() {
  auto queue = std::make_shared<Queue>();
  std::lock_guard lock(queues_mutex_);
  queues_.push_back(queue);
  return std::make_unique<Channel>(*this, std::move(queue));
}

void LogWriter::reopen() {
  reopen_.store(true, std::memory_order_release);
  wake();
}

void LogWriter::wake() {
  wakes_.fetch_add(1, std::memory_order_release);
  wakes_.notify_one();
}

void LogWriter::run() {
  while (true) {
    uint32_t wakes = wakes_.load(std::memory_order_acquire);
    bool stopping = stop_.load(std::memory_order_acquire);
    if (write_queues()) continue;
    reopen_if_asked();
    if (stopping) return;
    wakes_.wait(wakes, std::memory_order_acquire);
  }
}

/// One block of each queue; false when all were empty.
bool LogWriter::write_queues() {
  std::vector<std::shared_ptr<Queue>> queues;
  {
    std::lock_guard lock(queues_mutex_);
    queues = queues_;
  }
  bool any = false;
  for (const auto& queue : queues) {
    bool closed = queue->closed.load(std::memory_order_acquire);  // read before the last blocks are
    if (auto block = queue->full.pop()) {
      any = true;
      write_block(**block);
      (*block)->used = 0;
      (*block)->lines = 0;
      queue->empty.push(*block);
    } else if (closed) {
      std::lock_guard lock(queues_mutex_);
      std::erase(queues_, queue);
    }
  }
  return any;
}

void LogWriter::write_block(const LogBlock& block) {
  reopen_if_asked();
  std::string_view text = block.text();
  if (mid_line_) {  // an earlier block broke off within a line
    auto written = destination_->write("\n");
    mid_line_ = written.status != LogDestination::Status::kWritten;
  }
  while (!text.empty()) {
    auto written = destination_->write(text);
    if (written.status == LogDestination::Status::kWritten) {
      mid_line_ = text[written.bytes - 1] != '\n';
      text.remove_prefix(written.bytes);
      failing_ = false;
    } else if (written.status == LogDestination::Status::kFailed) {
      if (!failing_)
        log::error("access log {}: {}; its lines are lost until it can be written again",
                   destination_->path(), std::generic_category().message(written.error));
      failing_ = true;
      break;
    } else if (out_of_time()) {
      break;
    } else {
      destination_->wait(kPatience);
    }
  }
  auto lost = static_cast<uint64_t>(std::count(text.begin(), text.end(), '\n'));
  lost_lines_.fetch_add(lost, std::memory_order_relaxed);
}

bool LogWriter::out_of_time() const {
  return stop_.load(std::memory_order_acquire) &&
         Steady::now().time_since_epoch().count() >= give_up_at_.load(std::memory_order_relaxed);
}

void LogWriter::reopen_if_asked() {
  if (!reopen_.exchange(false, std::memory_order_acquire)) return;
  auto opened = destination_->reopen();
  if (!opened) log::error("access log: {}; the old one stays in use", opened.error());
  if (opened) mid_line_ = false;
}

}  // namespace sluice::telemetry
