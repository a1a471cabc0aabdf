// Epochs: how a writer knows that no worker can still see what it took out of a shared table. Readers pay one
// plain store a loop turn and nothing a request; no count is shared.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

namespace sluice::store {

/// The clock that readers and writers of some tables share. It outlives its readers and its retire lists.
///
/// A writer makes a thing unreachable, calls `advance()`, and may destroy the thing once `passed()` has
/// reached the epoch it got: every reader has since been offline or announced that it holds nothing.
class EpochDomain {
 public:
  EpochDomain() = default;
  EpochDomain(const EpochDomain&) = delete;
  EpochDomain& operator=(const EpochDomain&) = delete;

  /// To be called after the thing was made unreachable.
  uint64_t advance() { return now_.fetch_add(1, std::memory_order_seq_cst) + 1; }
  /// The newest epoch that has passed: no reader can hold what was unreachable when `advance()` returned it
  /// or an earlier one.
  uint64_t passed() const;

 private:
  friend class EpochReader;
  static constexpr uint64_t kOffline = 0;
  /// The epoch a reader last announced. A cache line of its own: its reader writes it every turn.
  struct alignas(64) Slot {
    std::atomic<uint64_t> seen = kOffline;
  };

  std::atomic<uint64_t> now_ = 1;
  mutable std::mutex mutex_;  // guards slots_, which readers touch only when they begin and end
  std::vector<std::unique_ptr<Slot>> slots_;
};

/// One thread's membership, used by that thread alone. Begins offline.
///
/// A worker is online while it handles events, calls `quiescent()` once a loop turn, between two callbacks,
/// when it holds no pointer from a guarded table (coroutines that wait hold none either: they copied what
/// they need), and goes offline before it blocks, so that an idle worker delays nobody.
class EpochReader {
 public:
  explicit EpochReader(EpochDomain& domain);
  EpochReader(const EpochReader&) = delete;
  EpochReader& operator=(const EpochReader&) = delete;
  ~EpochReader();

  /// From here pointers may be taken. Costs a full fence.
  void online() {
    slot_->seen.store(domain_.now_.load(std::memory_order_acquire), std::memory_order_release);
    // The store must be seen by a writer before we read any pointer; `passed()` has the other fence.
    std::atomic_thread_fence(std::memory_order_seq_cst);
  }
  /// Nothing taken before is used any more. Online only. Needs no fence: a writer that still sees the old
  /// value waits longer, and one that sees the new value has published to us before it advanced.
  void quiescent() {
    slot_->seen.store(domain_.now_.load(std::memory_order_acquire), std::memory_order_release);
  }
  /// Nothing taken before is used any more, and nothing will be taken before `online()`.
  void offline() { slot_->seen.store(EpochDomain::kOffline, std::memory_order_release); }
  bool is_online() const { return slot_->seen.load(std::memory_order_relaxed) != EpochDomain::kOffline; }

 private:
  EpochDomain& domain_;
  EpochDomain::Slot* slot_;
};

/// Online for a scope: for threads that have no loop, and for tests.
class EpochGuard {
 public:
  explicit EpochGuard(EpochReader& reader) : reader_(reader) { reader_.online(); }
  EpochGuard(const EpochGuard&) = delete;
  EpochGuard& operator=(const EpochGuard&) = delete;
  ~EpochGuard() { reader_.offline(); }

 private:
  EpochReader& reader_;
};

/// What a writer took out and must not destroy yet. Belongs to one writer; not thread-safe.
class RetireList {
 public:
  explicit RetireList(EpochDomain& domain) : domain_(domain) {}
  RetireList(const RetireList&) = delete;
  RetireList& operator=(const RetireList&) = delete;
  /// Disposes of everything: no reader may be left.
  ~RetireList();

  /// Calls `dispose` in a later `collect()`, when no reader can see the thing any more. The thing is
  /// unreachable already.
  void retire(std::move_only_function<void()> dispose);
  /// Disposes of what has become safe, oldest first; the number of things disposed of.
  size_t collect();
  size_t pending() const { return waiting_.size(); }

 private:
  struct Retired {
    uint64_t epoch;
    std::move_only_function<void()> dispose;
  };
  EpochDomain& domain_;
  std::deque<Retired> waiting_;  // by epoch
};

}  // namespace sluice::store
