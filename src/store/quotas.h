// Quotas: what of a calendar period may still be used, counted in memory and made durable ahead in blocks, so
// that a process that is killed has never let through more than was allowed, and loses at most one block.
#pragma once

#include <memory>
#include <mutex>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "io/cancel.h"
#include "io/loop.h"
#include "io/offload.h"
#include "io/scope.h"
#include "io/signal.h"
#include "io/task.h"
#include "store/local/local_store.h"
#include "store/quota_table.h"

namespace sluice::store {

/// What is asked for.
struct QuotaDemand {
  CounterKey key;
  int64_t period_end = 0;  // seconds since 1970
  uint64_t limit = 0;      // of the period; up to QuotaTable::kMostSpent
  uint64_t cost = 1;
};

class Quotas {
 public:
  explicit Quotas(uint64_t capacity = QuotaTable::kDefaultCapacity) : table_(capacity) {}

  /// Before anybody asks, on the main thread: where it is kept (see LocalStore::open). Again: nothing
  /// happens.
  LocalStore::Outcome open(const std::string& folder);
  bool is_open() const { return store_.is_open(); }
  /// Who writes: `loop` outlives all who ask, `offload` is where it blocks.
  void write_on(io::Loop& loop, io::Offload& offload);

  /// `identity` names the quota the same way across restarts and reloads.
  CounterKey key(std::string_view identity, std::string_view text) const;
  /// kUnknown: `await_more` first. When it says `low`, `ask_for_more`.
  QuotaTable::Taken take(const QuotaDemand& demand) {
    return table_.take(demand.key, demand.period_end, demand.limit, block(demand.limit), demand.cost);
  }
  QuotaTable::Taken peek(const QuotaDemand& demand) const {
    return table_.peek(demand.key, demand.period_end, demand.limit, demand.cost);
  }
  /// Counts what has been used already, as far as the limit goes.
  void charge(const QuotaDemand& demand) {
    if (table_.charge(demand.key, demand.period_end, demand.limit, demand.cost)) ask_for_more(demand);
  }
  void give_back(const QuotaDemand& demand) { table_.give_back(demand.key, demand.period_end, demand.cost); }
  /// From any worker's thread; does not wait.
  void ask_for_more(const QuotaDemand& demand);
  /// Until more has been granted, or nothing is left; look again then. A disk that does not answer is not
  /// waited for: the part is granted in memory alone. At once when `token` is cancelled.
  io::Task<> await_more(io::Loop& loop, const QuotaDemand& demand, io::CancelToken& token);

  /// How much is made durable at a time: what a kill loses at most is twice that, or one where this is one.
  static uint64_t block(uint64_t limit);

  /// On the main thread, when no worker is left and nothing is being written: what was granted and not used
  /// is given back.
  void close();
  auto join() { return scope_.join(); }

  /// Nothing is being written.
  bool is_idle() const { return scope_.active() == 0; }

  uint64_t writes() const { return writes_.load(std::memory_order_relaxed); }
  uint64_t failures() const { return failures_.load(std::memory_order_relaxed); }
  uint64_t evictions() const { return table_.evictions(); }

 private:
  /// Somebody who waits for a grant; shared with the writer, for it may leave before.
  struct Waiter {
    explicit Waiter(io::Loop& waiting_on) : loop(waiting_on), signal(waiting_on) {}
    io::Loop& loop;
    io::Signal signal;
    bool done = false;      // on its loop's thread
    bool has_left = false;  // under the mutex
  };
  struct Asked {
    QuotaDemand demand;
    std::shared_ptr<Waiter> waiter;  // null: nobody waits
  };

  void enqueue(Asked asked);
  io::Task<> write_queue();
  std::vector<Grant> grants_for(const std::vector<Asked>& batch) const;
  /// In memory alone, for the disk does not answer; it is written once that does.
  void grant_unwritten(const QuotaDemand& demand, uint64_t amount, int64_t now);
  std::vector<Grant> owed_grants();
  void tell(const std::vector<Asked>& batch);
  void report(const std::string& problem);
  static int64_t seconds_now(const io::Loop& loop);

  QuotaTable table_;
  LocalStore store_;
  io::Loop* loop_ = nullptr;
  io::Offload* offload_ = nullptr;
  std::mutex mutex_;
  std::vector<Asked> queue_;
  // Counters of which the file does not know all, by a half of the key; under the mutex.
  std::unordered_map<uint64_t, QuotaDemand> owed_;
  bool writing_ = false;
  bool failing_ = false;  // on the main loop
  std::atomic<uint64_t> writes_{0};
  std::atomic<uint64_t> failures_{0};
  io::TaskScope scope_;
};

}  // namespace sluice::store
