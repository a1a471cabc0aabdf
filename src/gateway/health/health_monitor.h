// HealthMonitor: finds out which targets can take requests, on the main loop, once for the whole process:
// probes them, ejects those that workers report, and gives every upstream a new view when something changes.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "config/json_writer.h"
#include "gateway/health/probe.h"
#include "gateway/snapshot.h"
#include "gateway/upstream.h"
#include "io/linked_token.h"
#include "io/scope.h"
#include "io/timer.h"
#include "store/epoch.h"
#include "telemetry/families.h"

namespace sluice::gateway {

class HealthMonitor final : private io::Timer {
 public:
  HealthMonitor(io::Loop& loop, store::EpochDomain& epochs, telemetry::Families& families,
                telemetry::WorkerMetrics& metrics);
  ~HealthMonitor();

  /// Looks after the targets of this configuration from now on; those that stay keep what is known of them.
  void follow(const Snapshot& snapshot);
  /// These are the targets of `upstream` from now on; likewise.
  void replace_targets(const Upstream& upstream, TargetList targets);
  /// A worker has seen it fail often enough in a row.
  void report_failing(const std::shared_ptr<TargetIdentity>& target);
  /// The state of all as JSON, for people and programs.
  std::string describe() const;
  /// Frees views that no worker can see any more.
  void collect() { retired_.collect(); }

  void stop();
  /// After `stop`.
  auto join() { return scope_.join(); }

 private:
  /// A target of `current_`, once for each identity.
  struct Watched {
    std::shared_ptr<const Upstream> upstream;
    TargetPointer target;  // of `upstream`
    telemetry::Gauge healthy;
    telemetry::Counter ejected;
    uint32_t ejections = 0;  // in a row
    Instant ejected_until{};
    Instant next_rates = kNever;
    std::string why;  // it is not healthy
  };
  /// The same order in every process, so that simulated worlds repeat themselves.
  struct BySlot {
    bool operator()(const TargetIdentity* a, const TargetIdentity* b) const { return a->slot < b->slot; }
  };
  /// The probes of one target with the same settings; ends by its token.
  struct Prober {
    Prober(std::shared_ptr<const Upstream> of, TargetPointer probed, io::CancelToken& all)
        : upstream(std::move(of)), target(std::move(probed)), token(all) {}
    const std::shared_ptr<const Upstream> upstream;
    const TargetPointer target;
    io::LinkedToken token;
    uint32_t in_row = 0;  // of outcomes that differ from the target's state
  };

  /// The targets of `current_`, which have changed.
  void watch_all();
  void watch(const std::shared_ptr<const Upstream>& upstream, const TargetPointer& target);
  void follow_probes();
  static bool is_probed(const Watched& watched);
  io::Task<> probe_on(Prober& prober);
  void take(Prober& prober, const ProbeOutcome& outcome);
  void eject(Watched& watched, std::string why);
  bool may_eject(const Watched& watched) const;
  void return_to_use(Watched& watched);
  void look_at_rates(const Upstream& upstream);
  void on_timer() override;
  void rearm();
  /// Its targets' health, or time, has changed.
  void renew(const std::string& upstream);
  void replace_view(const Upstream& upstream, TargetList targets);
  void show(Watched& watched);
  void describe(const Watched& watched, config::JsonWriter& json) const;
  Watched* find(const TargetIdentity* target);

  io::Loop& loop_;
  telemetry::Families& families_;
  telemetry::WorkerMetrics& metrics_;
  telemetry::NamedCounters limit_hits_;
  store::RetireList retired_;
  std::vector<std::weak_ptr<const Upstream>> upstreams_;  // all whose view somebody may look at
  std::vector<std::shared_ptr<const Upstream>> current_;  // of the configuration of the moment
  std::map<const TargetIdentity*, Watched, BySlot> watched_;
  std::list<std::unique_ptr<Prober>> probers_;
  Instant next_growth_ = kNever;  // a view with a slow start is made again
  io::CancelToken token_;
  io::TaskScope scope_;
};

}  // namespace sluice::gateway
