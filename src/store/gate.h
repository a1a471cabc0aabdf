// Gate: how many may be inside at once, over all workers, and who waits outside.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/time.h"
#include "io/cancel.h"
#include "io/loop.h"
#include "io/signal.h"
#include "io/task.h"

namespace sluice::store {

/// Going in and out takes no lock while nobody waits. Who waits goes in by turns: a higher priority first, of
/// the same one who came first.
class Gate {
 public:
  struct Rules {
    uint32_t most_inside = 1;
    uint32_t most_waiting = 0;
    Duration most_wait{};
    /// The time that a short wait takes. When the queue has not been empty for `most_wait`, it is standing,
    /// not passing: nobody is let wait longer than this until it is empty again (CoDel, RFC 8289, as adapted
    /// to requests by Facebook's "Fail at Scale"). Zero: never.
    Duration target{};
  };
  enum class Entry : uint8_t { kInside, kFull, kTimedOut, kCancelled };

  /// Somebody's place in the queue; shared with whoever lets it in, for it may have gone by then.
  struct Turn {
    Turn(io::Loop& waiting_on, uint32_t before) : loop(waiting_on), signal(waiting_on), priority(before) {}
    io::Loop& loop;
    io::Signal signal;  // told when `has_come` becomes true
    const uint32_t priority;
    bool has_come = false;  // on its loop's thread: inside
    bool let_in = false;    // the gate's own, under its mutex
  };

  /// True: inside. Whoever is inside leaves once. The bound that was given last holds for all: a reload may
  /// change it.
  bool try_enter(uint32_t most_inside);
  /// The same, but waits for its turn.
  io::Task<Entry> enter(io::Loop& loop, Rules rules, uint32_t priority, io::CancelToken& token);
  void leave();

  /// For who waits for other things too. Null: the queue is full. Ends by `withdraw`, unless its turn has
  /// come.
  std::shared_ptr<Turn> queue(io::Loop& loop, const Rules& rules, uint32_t priority);
  /// True: too late, it is inside.
  bool withdraw(const std::shared_ptr<Turn>& turn);

  uint32_t inside() const { return inside_.load(std::memory_order_relaxed); }
  uint32_t waiting() const { return waiting_.load(std::memory_order_relaxed); }

 private:
  using Queue = std::deque<std::shared_ptr<Turn>>;

  void set_bound(uint32_t most_inside);
  bool take_place();
  void let_in();
  Duration patience(const Rules& rules, Instant now);

  std::atomic<uint32_t> most_inside_{0};
  std::atomic<uint32_t> inside_{0};
  std::atomic<uint32_t> waiting_{0};
  std::mutex mutex_;
  std::map<uint32_t, Queue, std::greater<>> queues_;  // by priority
  Instant standing_since_ = kNever;                   // the queue has not been empty from then on
};

/// The gates of the process, by what they are named by across reloads.
class Gates {
 public:
  std::shared_ptr<Gate> get(const std::string& identity);

 private:
  std::mutex mutex_;
  std::map<std::string, std::weak_ptr<Gate>> gates_;
};

}  // namespace sluice::store
