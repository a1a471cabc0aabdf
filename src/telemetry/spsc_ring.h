// A queue between two threads: one puts, one takes, nobody waits and nothing is locked.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <optional>

namespace sluice::telemetry {

/// Holds up to `N` values, N a power of two; T is trivially copyable.
template <class T, size_t N>
class SpscRing {
  static_assert(std::has_single_bit(N));

 public:
  /// The putting thread. False when full.
  bool push(T value) {
    size_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - head_.load(std::memory_order_acquire) == N) return false;
    values_[tail % N] = value;
    tail_.store(tail + 1, std::memory_order_release);
    return true;
  }
  /// The taking thread.
  std::optional<T> pop() {
    size_t head = head_.load(std::memory_order_relaxed);
    if (head == tail_.load(std::memory_order_acquire)) return std::nullopt;
    T value = values_[head % N];
    head_.store(head + 1, std::memory_order_release);
    return value;
  }

 private:
  alignas(64) std::atomic<size_t> head_ = 0;
  alignas(64) std::atomic<size_t> tail_ = 0;
  alignas(64) std::array<T, N> values_ = {};
};

}  // namespace sluice::telemetry
