// ConnectionBudget: how many connections an upstream has at most, over all workers, and who waits for one.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "io/loop.h"
#include "store/gate.h"

namespace sluice::gateway {

/// What an upstream allows.
struct BudgetBounds {
  uint32_t most = 0;  // 0: any number
  uint32_t pending = 0;
};

/// One for all configurations that have an upstream of its name.
class ConnectionBudget {
 public:
  store::Gate& gate() { return gate_; }

  /// A pool with connections that hold places although nobody uses them.
  class Pool {
   public:
    /// On the pool's loop: closes the idle connection that was used longest ago.
    virtual void spare_one() = 0;

   protected:
    ~Pool() = default;
  };
  struct Member {
    io::Loop& loop;
    Pool* pool;  // null when it has gone; on its loop's thread
    std::atomic<size_t> idle{0};
  };
  /// On the pool's loop.
  std::shared_ptr<Member> join(io::Loop& loop, Pool& pool);
  void leave(Member& member);
  /// Somebody waits: one of the others that have an idle connection is asked to spare it.
  void ask_to_spare(const Member& asking);

 private:
  store::Gate gate_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<Member>> members_;
};

/// A connection's place in a budget, until it ends; or none, where there is no budget.
class ConnectionPermit {
 public:
  ConnectionPermit() = default;
  /// The place has been taken.
  explicit ConnectionPermit(std::shared_ptr<ConnectionBudget> budget) : budget_(std::move(budget)) {}
  ConnectionPermit(ConnectionPermit&& other) noexcept = default;
  ConnectionPermit& operator=(ConnectionPermit&& other) noexcept {
    std::swap(budget_, other.budget_);
    return *this;
  }
  ~ConnectionPermit() {
    if (budget_) budget_->gate().leave();
  }

 private:
  std::shared_ptr<ConnectionBudget> budget_;
};

}  // namespace sluice::gateway
