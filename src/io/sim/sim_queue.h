// What a SimWorld will do later: a heap ordered by time, then by when it was entered.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/time.h"

namespace sluice::io {

/// Somebody to whom something happens later. It must be there until it did.
class SimDue {
 public:
  /// `what`: the number that was entered.
  virtual void on_due(uint32_t what) = 0;

 protected:
  ~SimDue() = default;
};

class SimQueue {
 public:
  void add(Instant at, SimDue& whom, uint32_t what) {
    entries_.push_back({at, order_++, &whom, what});
    std::ranges::push_heap(entries_, std::greater<>(), key);
  }
  Instant next() const { return entries_.empty() ? kNever : entries_.front().at; }
  /// Tells everybody who is due at `now`, also those who become so meanwhile.
  void run(Instant now) {
    while (!entries_.empty() && entries_.front().at <= now) {
      std::ranges::pop_heap(entries_, std::greater<>(), key);
      Entry due = entries_.back();
      entries_.pop_back();
      due.whom->on_due(due.what);
    }
  }

 private:
  struct Entry {
    Instant at;
    uint64_t order;
    SimDue* whom;
    uint32_t what;
  };
  static std::pair<Instant, uint64_t> key(const Entry& entry) { return {entry.at, entry.order}; }

  std::vector<Entry> entries_;
  uint64_t order_ = 0;
};

}  // namespace sluice::io
