#include "gateway/digest.h"

#include "base/hash.h"

namespace sluice::gateway {

namespace {
constexpr uint64_t kLowSeed = 0x736c75696365;  // two independent hashes make 128 bits
constexpr uint64_t kHighSeed = 0x67617465776179;
}  // namespace

ContentDigest digest_of(std::string_view bytes) {
  return {hash64(bytes, kLowSeed), hash64(bytes, kHighSeed)};
}

ContentDigest combine(const ContentDigest& a, const ContentDigest& b) {
  uint64_t words[4] = {a.low, a.high, b.low, b.high};
  return digest_of({reinterpret_cast<const char*>(words), sizeof words});
}

}  // namespace sluice::gateway
