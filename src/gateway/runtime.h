// Runtime: the data plane as a process. A main loop that owns configuration, status and signals; workers on
// threads of their own; a thread of low priority that compiles.
#pragma once

#include <sys/types.h>

#include <condition_variable>
#include <expected>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "config/loader.h"
#include "gateway/compiler.h"
#include "gateway/data_plane.h"
#include "gateway/services.h"
#include "io/backend.h"
#include "io/epoll/epoll_loop.h"
#include "io/offload.h"
#include "io/signal.h"
#include "telemetry/log_writer.h"

namespace sluice::gateway {

struct RuntimeOptions {
  std::vector<config::Input> inputs;
  bool watch = false;              // reload when a file changes; for certificates that is done anyway
  std::function<void()> on_ready;  // once, on the main loop, when the first configuration is active
  /// How the process was started; a successor is started so too. Empty: there can be none.
  std::vector<std::string> command;
};

class Runtime {
 public:
  Runtime(const PolicyTypes& policies, const HandlerTypes& handlers, RuntimeOptions options);
  ~Runtime();

  /// Serves until SIGTERM or SIGINT, or until a successor has taken over; the process's exit code. Problems
  /// with the first configuration go to standard error. Must be called before any other thread is started: it
  /// blocks the signals that it waits for.
  int run();

  /// For whoever starts threads before `run`: none of them is to get the signals.
  static void block_signals();

 private:
  /// By path: what shows that the file has changed; empty: it fits an include and has not been read.
  using FileStates = std::map<std::string, std::string>;

  struct Loaded {
    config::LoadResult result;
    std::unique_ptr<Compiled> compiled;  // null: refused, see the diagnostics
  };

  Loaded load();
  bool start(Loaded loaded);
  std::vector<std::unique_ptr<io::SystemLoop>> make_loops();
  DataPlane::Hosts make_workers(std::vector<std::unique_ptr<io::SystemLoop>> loops);
  void request_reload();
  io::Task<> finish_reload(Loaded loaded);
  io::Task<> try_reload(Loaded loaded);
  void warn_of_restarts(const config::Gateway& gateway) const;
  void begin_shutdown(bool handed_over = false);
  void on_signal(int signal);
  void begin_handover();
  io::Task<> hand_over();
  void after_handover(const std::expected<pid_t, std::string>& successor);
  io::Task<> shut_down(bool handed_over);
  void announce();
  void register_sources();

  void start_compile_thread();
  void run_compile_thread();
  void watch(const config::LoadResult& result);
  FileStates file_states() const;
  bool files_changed();
  /// After a load: what it has read for the first time. A file that was known keeps the state of before, for
  /// it may have changed since it was read.
  void remember_new_files();
  void run_signal_thread();
  void end_signal_thread();

  const PolicyTypes& policies_;
  const HandlerTypes& handlers_;
  RuntimeOptions options_;
  io::EpollLoop loop_;                      // c-ares wants readiness, and no request goes through here
  std::optional<io::OffloadPool> offload_;  // for the disk
  std::unique_ptr<Services> services_;
  std::unique_ptr<Compiler> compiler_;
  std::unique_ptr<io::Resolver> resolver_;
  telemetry::WorkerMetrics* metrics_ = nullptr;  // the main loop's own
  std::unique_ptr<telemetry::LogWriter> log_;
  std::unique_ptr<DataPlane> plane_;
  config::Gateway started_with_;  // what changes by restart only is compared with this
  io::BackendChoice io_{};        // of the workers
  size_t workers_ = 0;
  int exit_code_ = 0;
  bool handing_over_ = false;
  bool reload_after_handover_ = false;
  io::Signal handover_ended_{loop_};
  io::CancelToken handover_token_;
  io::TaskScope handover_scope_;
  io::TaskScope reload_scope_;
  io::TaskScope scope_;

  std::thread compile_thread_;
  std::mutex compile_mutex_;
  std::condition_variable compile_wanted_;
  bool reload_requested_ = false;
  bool compile_stop_ = false;
  bool reload_finished_ = false;
  std::shared_ptr<const Snapshot> compile_base_;  // what the next compilation starts from
  std::vector<std::string> watched_files_;
  std::vector<std::string> watched_patterns_;
  std::vector<std::string> watched_certificates_;  // also without `watch`
  FileStates watched_states_;

  std::thread signal_thread_;
  std::atomic<bool> signals_done_{false};
};

}  // namespace sluice::gateway
