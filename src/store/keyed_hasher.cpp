#include "store/keyed_hasher.h"

#include <algorithm>
#include <bit>
#include <cstring>

// The functions that take a state to go on from are "deprecated" since OpenSSL 3.0; what replaces them
// allocates and costs four times as much for a short text.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/crypto.h>
#include <openssl/sha.h>

namespace sluice::store {

namespace {

using State = std::array<uint32_t, 8>;
using Block = std::array<unsigned char, SHA256_CBLOCK>;

/// A computation that has consumed `bytes` (whole blocks) and stands at `state`.
SHA256_CTX context(const State& state, uint32_t bytes) {
  SHA256_CTX context{};
  std::ranges::copy(state, context.h);
  context.Nl = bytes * 8;
  context.md_len = SHA256_DIGEST_LENGTH;
  return context;
}

State after_key_block(std::span<const std::byte, KeyedHasher::kKeyBytes> key, unsigned char pad) {
  Block block;
  block.fill(pad);
  for (size_t i = 0; i < key.size(); ++i) block[i] ^= std::to_integer<unsigned char>(key[i]);
  SHA256_CTX context;
  SHA256_Init(&context);
  SHA256_Transform(&context, block.data());
  OPENSSL_cleanse(block.data(), block.size());
  State state;
  std::ranges::copy(context.h, state.begin());
  return state;
}

/// Ends a message of `bytes` in all, the last `tail` of which stand in `block`: FIPS 180-4, section 5.1.1.
void pad(Block& block, size_t tail, uint32_t bytes) {
  block[tail] = 0x80;
  std::fill(block.begin() + tail + 1, block.end() - 4, 0);
  uint32_t bits = std::byteswap(bytes * 8);
  std::memcpy(block.data() + block.size() - 4, &bits, 4);
}

void write(const uint32_t* words, unsigned char* to) {
  for (size_t i = 0; i < 8; ++i) {
    uint32_t word = std::byteswap(words[i]);
    std::memcpy(to + i * 4, &word, 4);
  }
}

}  // namespace

static_assert(std::endian::native == std::endian::little);

KeyedHasher::KeyedHasher(std::span<const std::byte, kKeyBytes> key)
    : inner_(after_key_block(key, 0x36)), outer_(after_key_block(key, 0x5c)) {}

Digest KeyedHasher::operator()(std::string_view secret) const {
  SHA256_CTX inner = context(inner_, SHA256_CBLOCK);
  Block block;
  constexpr size_t kFitsOneBlock = SHA256_CBLOCK - 9;
  if (secret.size() <= kFitsOneBlock) {
    std::ranges::copy(secret, block.begin());
    pad(block, secret.size(), static_cast<uint32_t>(SHA256_CBLOCK + secret.size()));
    SHA256_Transform(&inner, block.data());
    write(inner.h, block.data());
  } else {
    SHA256_Update(&inner, secret.data(), secret.size());
    SHA256_Final(block.data(), &inner);
  }
  pad(block, SHA256_DIGEST_LENGTH, SHA256_CBLOCK + SHA256_DIGEST_LENGTH);
  SHA256_CTX outer = context(outer_, SHA256_CBLOCK);
  SHA256_Transform(&outer, block.data());

  unsigned char bytes[SHA256_DIGEST_LENGTH];
  write(outer.h, bytes);
  Digest digest;
  std::memcpy(digest.words.data(), bytes, sizeof bytes);
  return digest;
}

}  // namespace sluice::store
