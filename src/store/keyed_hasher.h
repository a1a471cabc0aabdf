// Digests of secrets under a key that only this process knows: what the credentials' table is asked with.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace sluice::store {

/// HMAC-SHA-256 of a secret, its bytes in the order of FIPS 180-4. Comparing two takes the same time whatever
/// they hold.
struct Digest {
  std::array<uint64_t, 4> words;

  friend bool operator==(const Digest& a, const Digest& b) {
    return ((a.words[0] ^ b.words[0]) | (a.words[1] ^ b.words[1]) | (a.words[2] ^ b.words[2]) |
            (a.words[3] ^ b.words[3])) == 0;
  }
};

/// Makes digests (RFC 2104, FIPS 180-4). The key is 32 random bytes drawn when the process starts; what
/// depends on the key alone is computed once. Immutable, shared by all threads.
class KeyedHasher {
 public:
  static constexpr size_t kKeyBytes = 32;

  explicit KeyedHasher(std::span<const std::byte, kKeyBytes> key);
  Digest operator()(std::string_view secret) const;

 private:
  using State = std::array<uint32_t, 8>;  // SHA-256 after the key's block
  State inner_;
  State outer_;
};

}  // namespace sluice::store
