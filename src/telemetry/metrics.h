// What a worker counts with: a shard of plain slots that only its own thread writes, addressed by handles
// that were resolved when the configuration was compiled. No lock, no locked instruction, no shared cache
// line, no string.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace sluice::telemetry {

/// Upper bounds (inclusive, Prometheus' `le`) of a latency histogram's buckets. No two of them lie in one
/// octave, so that the leading bit of a value leaves one comparison to make.
inline constexpr std::array<uint64_t, 18> kBucketBounds = {  // nanoseconds
    50'000,      100'000,       250'000,       500'000,       1'000'000,      2'500'000,
    5'000'000,   10'000'000,    25'000'000,    50'000'000,    100'000'000,    250'000'000,
    500'000'000, 1'000'000'000, 2'500'000'000, 5'000'000'000, 10'000'000'000, 60'000'000'000};
inline constexpr size_t kBuckets = kBucketBounds.size() + 1;  // the last one is +Inf
/// One slot a bucket (not cumulated), then the sum in nanoseconds.
inline constexpr size_t kHistogramSlots = kBuckets + 1;

/// The bucket of a duration; negative ones count as zero.
constexpr size_t bucket_of(Duration value) {
  constexpr auto kFirst = [] {  // how many bounds lie below the octave of values that are `width` bits wide
    std::array<uint8_t, 65> first{};
    for (size_t width = 1; width < first.size(); ++width)
      for (uint64_t bound : kBucketBounds) first[width] += bound < (uint64_t{1} << (width - 1)) ? 1 : 0;
    return first;
  }();
  if (value.count() <= 0) return 0;
  uint64_t ns = static_cast<uint64_t>(value.count());
  size_t bucket = kFirst[static_cast<size_t>(std::bit_width(ns))];
  return bucket < kBucketBounds.size() ? bucket + (ns > kBucketBounds[bucket] ? 1 : 0) : bucket;
}

/// Handles. A handle made by default counts into a scratch slot that nobody reads, so no caller needs a
/// branch.
struct Counter {
  static constexpr uint32_t kSlots = 1;
  uint32_t slot = 0;
};
struct Gauge {
  static constexpr uint32_t kSlots = 1;
  uint32_t slot = 0;
};
struct Histogram {
  static constexpr uint32_t kSlots = kHistogramSlots;
  uint32_t slot = 0;
};

/// Series of one family that differ in its last label only, whose values are the enumeration E's.
template <class Handle, class E>
struct Group {
  uint32_t slot = 0;
  constexpr Handle operator[](E which) const {
    return {slot + static_cast<uint32_t>(which) * Handle::kSlots};
  }
};

/// One thread's values; made by `Registry::attach`. Every method is for the owning thread only; the registry
/// reads at any time. A handle may be used as soon as its resolver has handed it over.
class WorkerMetrics {
 public:
  static constexpr uint32_t kChunkSlots = 1024;
  static constexpr uint32_t kMaxChunks = 1024;
  /// The scratch slots at the start, as many as the largest group takes.
  static constexpr uint32_t kScratchSlots = 256;

  WorkerMetrics() = default;
  WorkerMetrics(const WorkerMetrics&) = delete;
  WorkerMetrics& operator=(const WorkerMetrics&) = delete;
  ~WorkerMetrics();

  void add(Counter counter, uint64_t by = 1) { bump(at(counter.slot), by); }
  void add(Gauge gauge, int64_t by) { bump(at(gauge.slot), static_cast<uint64_t>(by)); }
  /// This thread's part; what is shown is the sum of all threads' parts.
  void set(Gauge gauge, int64_t to) {
    at(gauge.slot)->store(static_cast<uint64_t>(to), std::memory_order_relaxed);
  }
  void observe(Histogram histogram, Duration value) {
    std::atomic<uint64_t>* slots = at(histogram.slot);
    bump(slots + bucket_of(value), 1);
    bump(slots + kBuckets, value.count() > 0 ? static_cast<uint64_t>(value.count()) : 0);
  }

 private:
  friend class Registry;
  struct alignas(128) Chunk {  // two cache lines: the prefetcher fetches them in pairs
    std::atomic<uint64_t> slots[kChunkSlots] = {};
  };

  /// One writer, so a load and a store do; compiles to one `add`.
  static void bump(std::atomic<uint64_t>* slot, uint64_t by) {
    slot->store(slot->load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
  }
  std::atomic<uint64_t>* at(uint32_t slot) {
    return chunks_[slot / kChunkSlots].load(std::memory_order_acquire)->slots + slot % kChunkSlots;
  }
  /// For the registry, under its lock.
  void grow_to(uint32_t chunks);
  const std::atomic<uint64_t>* read(uint32_t slot) const {
    return chunks_[slot / kChunkSlots].load(std::memory_order_acquire)->slots + slot % kChunkSlots;
  }

  std::atomic<Chunk*> chunks_[kMaxChunks] = {};
};

}  // namespace sluice::telemetry
