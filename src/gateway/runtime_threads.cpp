// The runtime's helpers: the thread that compiles, the thread that waits for signals, and the way out.
#include <fmt/format.h>
#include <malloc.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "config/references.h"
#include "gateway/handover/service_manager.h"
#include "gateway/runtime.h"
#include "telemetry/process_log.h"

namespace sluice::gateway {

namespace {

namespace log = telemetry::log;

constexpr auto kWatchInterval = std::chrono::milliseconds(500);
constexpr int kLowestPriority = 19;

/// What shows that a file has changed: also when another one took its name.
std::string file_state(const std::string& path) {
  struct stat state;
  if (stat(path.c_str(), &state) != 0) return "absent";
  return fmt::format("{} {} {} {}.{}", state.st_dev, state.st_ino, state.st_size, state.st_mtim.tv_sec,
                     state.st_mtim.tv_nsec);
}

sigset_t handled_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR2}) sigaddset(&signals, signal);
  return signals;
}

}  // namespace

void Runtime::start_compile_thread() {
  files_changed();
  compile_thread_ = std::thread([this] { run_compile_thread(); });
}

void Runtime::watch(const config::LoadResult& result) {
  watched_files_ = result.files;
  watched_patterns_ = result.patterns;
  watched_certificates_ = result.certificate_files;
}

Runtime::FileStates Runtime::file_states() const {
  FileStates states;
  for (const std::string& file : watched_certificates_) states[file] = file_state(file);
  if (!options_.watch) return states;
  for (const std::string& file : watched_files_) states[file] = file_state(file);
  for (const std::string& pattern : watched_patterns_)
    for (std::string& file : config::Environment::system().glob(pattern)) states[std::move(file)];
  return states;
}

bool Runtime::files_changed() {
  FileStates states = file_states();
  bool changed = states != watched_states_;
  watched_states_ = std::move(states);
  return changed;
}

void Runtime::remember_new_files() {
  FileStates states = file_states();
  for (auto& [file, state] : states) {
    auto before = watched_states_.find(file);
    if (before != watched_states_.end() && !before->second.empty()) state = before->second;
  }
  watched_states_ = std::move(states);
}

void Runtime::run_compile_thread() {
  // A reload must not take time from requests. Linux has a nice value for each thread. Shorter slices
  // (sched_setattr) made no difference, SCHED_IDLE made reloads five times as long and the worst requests
  // slower; see bench/README.md.
  setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), kLowestPriority);
  std::unique_lock lock(compile_mutex_);
  while (!compile_stop_) {
    auto wanted = [this] { return reload_requested_ || compile_stop_; };
    const bool watching = options_.watch || !watched_certificates_.empty();
    if (watching)
      compile_wanted_.wait_for(lock, kWatchInterval, wanted);
    else
      compile_wanted_.wait(lock, wanted);
    if (compile_stop_) break;
    bool requested = std::exchange(reload_requested_, false);
    if (watching && files_changed()) requested = true;
    if (!requested) continue;
    lock.unlock();
    auto loaded = std::make_unique<Loaded>(load());
    loop_.post([this, result = std::move(loaded)]() mutable {
      reload_scope_.spawn(finish_reload(std::move(*result)));
    });
    // The next compilation starts from what this one has made active, so it waits for that.
    lock.lock();
    compile_wanted_.wait(lock, [this] { return reload_finished_ || compile_stop_; });
    reload_finished_ = false;
    remember_new_files();
    // A document and its tree are several times as large as the snapshot made from them: what they took goes
    // back to the system, not to the allocator's lists.
    lock.unlock();
    malloc_trim(0);
    lock.lock();
  }
}

void Runtime::block_signals() {
  signal(SIGPIPE, SIG_IGN);
  sigset_t signals = handled_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

void Runtime::run_signal_thread() {
  block_signals();
  sigset_t signals = handled_signals();
  signal_thread_ = std::thread([this, signals] {
    for (int stops = 0;;) {
      int received = 0;
      if (sigwait(&signals, &received) != 0) continue;
      if (signals_done_) return;
      bool stop = received == SIGTERM || received == SIGINT;
      if (stop && ++stops > 1) std::_Exit(128 + received);  // the second one: now
      loop_.post([this, received] { on_signal(received); });
    }
  });
}

void Runtime::end_signal_thread() {
  signals_done_ = true;
  pthread_kill(signal_thread_.native_handle(), SIGHUP);  // any that it waits for
  signal_thread_.join();
}

void Runtime::on_signal(int received) {
  if (received == SIGHUP) {
    log::info("SIGHUP: reloading");
    log_->reopen();
    if (handing_over_)
      reload_after_handover_ = true;
    else
      request_reload();
  } else if (received == SIGUSR2) {
    begin_handover();
  } else {
    log::info("{}: draining", received == SIGINT ? "SIGINT" : "SIGTERM");
    if (!plane_->stopping()) handover::tell_service_manager("STOPPING=1");
    handover_token_.cancel(io::CancelReason::kDrain);
    begin_shutdown();
  }
}

void Runtime::begin_shutdown(bool handed_over) {
  if (!plane_->stopping()) scope_.spawn(shut_down(handed_over));
}

io::Task<> Runtime::shut_down(bool handed_over) {
  // Who never served has nobody to say goodbye to.
  Duration delay = exit_code_ == 0 ? started_with_.drain.delay : Duration::zero();
  DataPlane::Ending ending{
      .delay = delay, .timeout = started_with_.drain.timeout, .handed_over = handed_over};
  bool ended = co_await plane_->shut_down(ending);
  if (!ended) {
    log::error("some exchanges did not end");
    std::_Exit(1);
  }
  co_await handover_scope_.join();
  co_await reload_scope_.join();
  loop_.stop();
}

}  // namespace sluice::gateway
