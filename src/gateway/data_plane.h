// The data plane as its main loop sees it: workers, each on a loop of its own, the configuration that they
// run, the names in it and the status port. Threads, signals and files are the runtime's; the simulator has
// this over loops of its own.
#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "gateway/acme/manager.h"
#include "gateway/compiler.h"
#include "gateway/discovery.h"
#include "gateway/health/health_monitor.h"
#include "gateway/names.h"
#include "gateway/ocsp_fetcher.h"
#include "gateway/services.h"
#include "gateway/status_server.h"
#include "gateway/worker.h"
#include "io/cancel.h"
#include "io/loop.h"
#include "io/scope.h"
#include "io/task.h"

namespace sluice::gateway {

/// Where a worker lives: on a thread of its own, or in a simulated world.
class WorkerHost {
 public:
  using Work = std::move_only_function<void(Worker&)>;

  virtual ~WorkerHost() = default;
  /// Runs `work` on the worker's loop.
  virtual void post(Work work) = 0;
  /// Ends the worker's loop once every connection has ended, and calls `ended` there.
  virtual void finish(std::move_only_function<void()> ended) = 0;
};

/// Everything is called on the main loop, in the order in which it stands here.
class DataPlane {
 public:
  using Hosts = std::vector<std::unique_ptr<WorkerHost>>;
  using Outcome = std::expected<void, std::string>;

  DataPlane(io::Loop& loop, Services& services, io::Resolver& resolver, TargetRegistry& targets,
            telemetry::WorkerMetrics& metrics);

  /// What must survive the process is opened, if `compiled` needs it. Before `activate`.
  Outcome open_state(const Compiled& compiled);
  /// Takes the first configuration; workers are made with its snapshot.
  void activate(Compiled first);
  const std::shared_ptr<const Snapshot>& snapshot() const { return snapshot_; }
  /// The status port answers from now on. The text of an error says which address.
  Outcome open_status(const io::Address& address);
  const StatusServer& status() const { return status_; }

  /// `started` is called once: when every worker listens and names have their first answers or have waited
  /// long enough for them, or with the first error.
  void start(Hosts workers, std::move_only_function<void(Outcome)> started);
  bool ready() const { return ready_ && !stopping_; }

  /// Whether `next` can be had: names are asked for, new addresses tried. Nothing has changed yet.
  io::Task<Outcome> prepare(const Compiled& next);
  /// After `prepare`: its credentials hold from now on, and workers get the rest.
  void apply(Compiled next);
  /// A reload came to nothing; `why` goes to the log.
  void refuse(std::string_view why);

  bool stopping() const { return stopping_; }
  struct Ending {
    Duration delay{};          // between saying that it stops and the drain
    Duration timeout{};        // what has not ended then is cancelled
    bool handed_over = false;  // another process listens on the same sockets, and answers for the gateway
  };
  /// Says that it stops, and drains. False: some exchanges did not end even when they were cancelled. Once.
  io::Task<bool> shut_down(Ending ending);

  /// Descriptors of every socket that is listened on, each worker's in turn, for a successor; they are the
  /// caller's.
  io::Task<std::expected<std::vector<int>, std::string>> duplicate_sockets();

 private:
  io::Task<> await_names(std::function<void(Outcome)> then);
  io::Task<> first_answers();
  void sweep_targets();
  io::Task<> take_over(std::function<void(Outcome)> arrived);
  void listen(const std::function<void(Outcome)>& arrived);
  io::Task<> keep_house();
  void look_after_tls();
  void activate_credentials(CompiledCredentials credentials);
  void worker_ended();

  io::Loop& loop_;
  Services& services_;
  TargetRegistry& targets_;
  telemetry::WorkerMetrics& metrics_;
  Names names_;
  OcspFetcher ocsp_;
  acme::Manager acme_;
  HealthMonitor health_;
  Discovery discovery_;
  StatusServer status_;
  std::shared_ptr<const Snapshot> snapshot_;
  Hosts workers_;
  size_t running_ = 0;
  Instant next_ticket_rotation_ = kNever;
  Instant next_sweep_{};
  bool status_waits_ = false;  // a predecessor answers at its address until we are ready
  bool ready_ = false;
  bool stopping_ = false;
  bool handed_over_ = false;
  std::move_only_function<void(Outcome)> started_;
  io::CancelToken house_token_;
  io::CancelToken drain_token_;  // cancelled when every worker has ended
  io::TaskScope scope_;
};

}  // namespace sluice::gateway
