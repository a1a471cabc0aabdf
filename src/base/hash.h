// Hashing of short texts for tables of ours. Not for secrets: see store/credentials for keyed hashes.
#pragma once

#include <cstdint>
#include <string_view>

namespace sluice {

/// XXH3 with a seed; the same on every machine. A table that untrusted keys can fill takes a random seed.
uint64_t hash64(std::string_view bytes, uint64_t seed = 0);

constexpr uint64_t mix64(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

}  // namespace sluice
