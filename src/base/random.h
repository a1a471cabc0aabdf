// The loop's source of randomness: seeded, so that a simulated world repeats itself. Not for keys or tokens.
#pragma once

#include <bit>
#include <cstdint>

#include "base/hash.h"

namespace sluice {

/// xoshiro256** (Blackman, Vigna), seeded by splitmix64.
class Random {
 public:
  explicit Random(uint64_t seed) {
    for (uint64_t& word : state_) word = mix64(seed += 0x9e3779b97f4a7c15ULL);
  }
  uint64_t next() {
    uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    uint64_t t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }
  /// Uniform in [0, bound); bound > 0. The bias of 2^-64 * bound is of no account here.
  uint64_t below(uint64_t bound) {
    return static_cast<uint64_t>((static_cast<unsigned __int128>(next()) * bound) >> 64);
  }

 private:
  uint64_t state_[4];
};

}  // namespace sluice
