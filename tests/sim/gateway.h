// The gateway as it stands in a simulated world: what gateway/runtime does with threads and epoll is done
// here with loops of the world. Everything below it is the product's code.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "gateway/compiler.h"
#include "gateway/names.h"
#include "gateway/worker.h"
#include "handlers/registry.h"
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
  bool reload(const std::string& document, uint64_t revision, uint64_t generation);
  /// As SIGTERM: says goodbye to all, cancels what is left after `timeout`.
  void shut_down(Duration timeout);
  bool ended() const { return workers_running_ == 0; }
  /// After it has ended. What is left over is a violation.
  void destroy();

  const std::vector<RevisionTimes>& revisions() const { return revisions_; }
  Instant drained_at() const { return drained_at_; }  // by all workers; kNever: not yet
  Instant drain_began() const { return drain_began_; }
  const std::string& access_log() const { return log_text_; }
  gateway::Services& services() { return services_; }
  /// Of the last document.
  const std::string& problems() const { return problems_; }
  io::Address address() const;

 private:
  struct Member {
    io::SimLoop* loop;
    std::unique_ptr<gateway::Worker> worker;
    io::TaskScope scope;
  };
  std::unique_ptr<gateway::Compiled> compile(const std::string& document);
  io::Task<> end(Member& member);
  io::Task<> drain_in_time(Duration timeout);
  io::Task<> keep_house();
  void check_old_plans();
  void check_empty(Member& member, size_t number);

  io::SimWorld& world_;
  io::SimLoop& main_;
  Violations& violations_;
  handlers::Registry handlers_;
  const gateway::PolicyTypes& policies_;
  gateway::Services services_;
  gateway::Compiler compiler_;
  gateway::Names names_;
  std::shared_ptr<const gateway::Snapshot> snapshot_;
  std::vector<std::weak_ptr<const gateway::Snapshot>> snapshots_;
  std::vector<std::weak_ptr<const gateway::RoutePlan>> plans_;
  std::vector<std::unique_ptr<Member>> members_;
  std::vector<RevisionTimes> revisions_;
  std::string log_text_;
  io::TaskScope scope_;
  io::CancelToken drain_token_;
  io::CancelToken house_token_;
  size_t workers_running_ = 0;
  size_t drains_pending_ = 0;
  std::string problems_;
  Instant drained_at_ = kNever;
  Instant drain_began_ = kNever;
};

}  // namespace sluice::sim
