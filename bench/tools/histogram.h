// Latencies in nanoseconds, 128 buckets for each power of two: below 1 % error from one nanosecond to hours,
// a fixed 60 KiB, and recording is two shifts and an increment.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace bench {

class Histogram {
 public:
  void record(uint64_t value) {
    ++counts_[index_of(value)];
    ++total_;
    sum_ += value;
    if (value > max_) max_ = value;
  }
  uint64_t total() const { return total_; }
  uint64_t max() const { return max_; }
  double mean() const { return total_ == 0 ? 0 : static_cast<double>(sum_) / static_cast<double>(total_); }

  /// The smallest value that at least `share` (0 to 1) of all recorded ones do not exceed.
  uint64_t quantile(double share) const {
    const auto wanted = static_cast<uint64_t>(share * static_cast<double>(total_) + 0.999999);
    uint64_t seen = 0;
    for (size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (seen >= wanted && seen > 0) return middle_of(i);
    }
    return max_;
  }

 private:
  static constexpr unsigned kBits = 7;
  static constexpr uint64_t kSub = 1U << kBits;

  static size_t index_of(uint64_t value) {
    if (value < kSub) return static_cast<size_t>(value);
    const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - 1 - kBits;
    return static_cast<size_t>((shift + 1) * kSub + (value >> shift) - kSub);
  }
  static uint64_t middle_of(size_t index) {
    if (index < kSub) return index;
    const uint64_t shift = index / kSub - 1;
    return ((index % kSub + kSub) << shift) + ((uint64_t{1} << shift) / 2);
  }

  std::array<uint64_t, (64 - kBits + 1) * kSub> counts_{};
  uint64_t total_ = 0;
  uint64_t sum_ = 0;
  uint64_t max_ = 0;
};

}  // namespace bench
