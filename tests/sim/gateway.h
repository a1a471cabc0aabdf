// The gateway as it stands in a simulated world: its data plane over loops of the world instead of threads,
// configurations out of texts instead of files.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "gateway/data_plane.h"
#include "handlers/registry.h"
#include "io/sim/sim_offload.h"
#include "io/sim/sim_world.h"
#include "violations.h"

namespace sluice::sim {

/// Takes the access log's blocks at once.
class MemoryChannel final : public telemetry::LogChannel {
 public:
  explicit MemoryChannel(std::string& text) : text_(text) {}
  telemetry::LogBlock* take() override {
    block_->used = 0;
    block_->lines = 0;
    return block_.get();
  }
  void give(telemetry::LogBlock* block) override { text_.append(block->text()); }

 private:
  std::string& text_;
  // Not zeroed: a block is large and a run is short.
  std::unique_ptr<telemetry::LogBlock> block_ = std::make_unique_for_overwrite<telemetry::LogBlock>();
};

/// When a revision was active: on the first worker, and on all.
struct RevisionTimes {
  uint64_t revision = 0;
  uint64_t generation = 0;
  Instant applied{};  // its credentials hold from here
  Instant first = kNever;
  Instant all = kNever;
};

class SimGateway {
 public:
  SimGateway(io::SimWorld& world, io::SimLoop& main, io::Resolver& resolver,
             const gateway::PolicyTypes& policies, uint64_t seed, size_t workers, Violations& violations);
  ~SimGateway();

  /// False: the document was refused.
  bool start(const std::string& document, bool access_log);
  /// Whether the document is a good one. It becomes active after those that were there before.
  bool reload(const std::string& document, uint64_t revision, uint64_t generation);
  /// As SIGTERM: says goodbye to all, cancels what is left after `timeout`.
  void shut_down(Duration timeout);
  bool ended() const { return ended_; }
  /// After it has ended. What is left over is a violation.
  void destroy();

  const std::vector<RevisionTimes>& revisions() const { return revisions_; }
  Instant drained_at() const { return drained_at_; }  // by all workers; kNever: not yet
  Instant drain_began() const { return drain_began_; }
  const std::string& access_log() const { return log_text_; }
  gateway::Services& services() { return services_; }
  /// What an upstream carries.
  std::shared_ptr<gateway::UpstreamLoad> load_of(const std::string& upstream) {
    return compiler_.targets().load_of(upstream);
  }
  /// Of the last document.
  const std::string& problems() const { return problems_; }
  io::Address address() const;

 private:
  class Host;
  /// A document on its way.
  struct Next {
    std::string document;
    uint64_t revision = 0;
    uint64_t generation = 0;
  };
  std::unique_ptr<gateway::Compiled> compile(const std::string& document);
  void remember(const gateway::Snapshot& snapshot);
  io::Task<> reload_all();
  void apply(gateway::Compiled compiled, const Next& next);
  io::Task<> drain(Duration timeout);
  void check_old_plans();
  void check_empty(Host& host, size_t number);

  io::SimWorld& world_;
  io::SimLoop& main_;
  io::SimOffload offload_;
  Violations& violations_;
  handlers::Registry handlers_;
  const gateway::PolicyTypes& policies_;
  const uint64_t services_seed_;
  gateway::Services services_;
  gateway::Compiler compiler_;
  std::unique_ptr<gateway::DataPlane> plane_;
  std::vector<std::weak_ptr<const gateway::Snapshot>> snapshots_;
  std::vector<std::weak_ptr<const gateway::RoutePlan>> plans_;
  std::vector<io::SimLoop*> loops_;
  std::vector<Host*> hosts_;
  std::deque<Next> coming_;
  std::vector<RevisionTimes> revisions_;
  std::string log_text_;
  io::TaskScope scope_;
  bool ended_ = false;
  bool reloading_ = false;
  size_t drains_pending_ = 0;
  std::string problems_;
  Instant drained_at_ = kNever;
  Instant drain_began_ = kNever;
};

}  // namespace sluice::sim
