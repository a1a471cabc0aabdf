// What an upstream carries over all workers: requests and retries at once, and what bounds them.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "gateway/balance/adaptive_limit.h"
#include "gateway/balance/connection_budget.h"

namespace sluice::gateway {

/// A count that many threads change and few read: each adds to a part of its own.
class SharedCount {
 public:
  static constexpr size_t kParts = 16;
  void add(size_t thread, int32_t change) {
    parts_[thread % kParts].value.fetch_add(change, std::memory_order_relaxed);
  }
  /// Not at one instant: parts may change meanwhile.
  int64_t sum() const {
    int64_t sum = 0;
    for (const Part& part : parts_) sum += part.value.load(std::memory_order_relaxed);
    return sum;
  }

 private:
  struct alignas(64) Part {
    std::atomic<int32_t> value{0};
  };
  std::array<Part, kParts> parts_;
};

/// What an upstream allows.
struct UpstreamBounds {
  uint32_t requests = 0;                           // at once; 0: any number
  std::optional<uint32_t> retries = std::nullopt;  // at once
  double retry_share = 0.2;                        // of the requests, at once
  BudgetBounds connections = {};
  std::optional<AdaptiveLimit::Rules> adaptive = std::nullopt;

  bool counts_requests() const { return requests > 0 || adaptive; }
};

class UpstreamLoad {
 public:
  /// Retries that are always allowed at once, however few the requests (Envoy's min_retry_concurrency).
  static constexpr uint32_t kFreeRetries = 3;

  enum class Entry : uint8_t {
    kIn,
    kFull,        // as many as `bounds.requests`
    kOverloaded,  // as many as it can answer in the usual time
  };
  /// A request wants to go there. Exact: never more than `bounds.requests` at once.
  Entry enter(size_t worker, const UpstreamBounds& bounds) {
    if (bounds.counts_requests()) {
      uint32_t most = bounds.requests > 0 ? bounds.requests : UINT32_MAX;
      Entry refusal = Entry::kFull;
      if (bounds.adaptive)
        if (uint32_t now = adaptive_.limit(*bounds.adaptive); now < most) {
          most = now;
          refusal = Entry::kOverloaded;
        }
      if (!take(bounded_, most)) return refusal;
    }
    requests_.add(worker, 1);
    return Entry::kIn;
  }
  /// `bounds` as at `enter`.
  void leave(size_t worker, const UpstreamBounds& bounds) {
    if (bounds.counts_requests()) bounded_.fetch_sub(1, std::memory_order_relaxed);
    requests_.add(worker, -1);
  }

  /// A request that is in wants to try again.
  bool enter_retry(const UpstreamBounds& bounds) {
    auto share = static_cast<uint32_t>(static_cast<double>(requests_.sum()) * bounds.retry_share);
    uint32_t most = share > kFreeRetries ? share : kFreeRetries;
    if (bounds.retries && *bounds.retries < most) most = *bounds.retries;
    return take(retries_, most);
  }
  void leave_retry() { retries_.fetch_sub(1, std::memory_order_relaxed); }

  AdaptiveLimit& adaptive() { return adaptive_; }
  /// Those that a bound counts.
  uint32_t bounded() const { return bounded_.load(std::memory_order_relaxed); }
  const std::shared_ptr<ConnectionBudget>& connections() const { return connections_; }
  int64_t requests() const { return requests_.sum(); }
  uint32_t retries() const { return retries_.load(std::memory_order_relaxed); }

 private:
  static bool take(std::atomic<uint32_t>& taken, uint32_t most) {
    uint32_t now = taken.load(std::memory_order_relaxed);
    do {
      if (now >= most) return false;
    } while (!taken.compare_exchange_weak(now, now + 1, std::memory_order_relaxed));
    return true;
  }

  const std::shared_ptr<ConnectionBudget> connections_ = std::make_shared<ConnectionBudget>();
  SharedCount requests_;
  alignas(64) std::atomic<uint32_t> bounded_{0};  // of those that have a bound
  AdaptiveLimit adaptive_;
  alignas(64) std::atomic<uint32_t> retries_{0};
};

/// A request's place in an upstream, until it ends. The upstream must outlive it.
class UpstreamPlace {
 public:
  UpstreamPlace(UpstreamLoad& load, const UpstreamBounds& bounds, size_t worker)
      : entry_(load.enter(worker, bounds)),
        load_(entry_ == UpstreamLoad::Entry::kIn ? &load : nullptr),
        bounds_(bounds),
        worker_(worker) {}
  UpstreamPlace(UpstreamPlace&& other) noexcept
      : entry_(other.entry_),
        load_(std::exchange(other.load_, nullptr)),
        bounds_(other.bounds_),
        worker_(other.worker_),
        retries_(std::exchange(other.retries_, false)) {}
  ~UpstreamPlace() {
    if (retries_) load_->leave_retry();
    if (load_) load_->leave(worker_, bounds_);
  }
  /// False: there is none, and `entry` says why.
  explicit operator bool() const { return load_ != nullptr; }
  UpstreamLoad::Entry entry() const { return entry_; }
  /// Whether it may try again.
  bool may_retry() {
    retries_ = retries_ || load_->enter_retry(bounds_);
    return retries_;
  }

 private:
  const UpstreamLoad::Entry entry_;
  UpstreamLoad* load_;
  const UpstreamBounds& bounds_;
  const size_t worker_;
  bool retries_ = false;
};

}  // namespace sluice::gateway
