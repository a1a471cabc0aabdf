#include "store/keyed_hasher.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <bit>
#include <cstring>
#include <string>

namespace sluice::store {
namespace {

using Key = std::array<std::byte, KeyedHasher::kKeyBytes>;

Key key_of(std::string_view bytes) {
  Key key{};  // HMAC fills a short key with zeros (RFC 2104, section 2)
  std::memcpy(key.data(), bytes.data(), bytes.size());
  return key;
}

std::string hex(const Digest& digest) {
  std::string out;
  for (auto byte : std::bit_cast<std::array<unsigned char, 32>>(digest)) {
    out += "0123456789abcdef"[byte >> 4];
    out += "0123456789abcdef"[byte & 15];
  }
  return out;
}

TEST(KeyedHasher, IsHmacSha256) {  // RFC 4231, test cases 1 to 3
  struct Case {
    std::string key, text, digest;
  };
  const Case cases[] = {
      {std::string(20, '\x0b'), "Hi There",
       "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
      {"Jefe", "what do ya want for nothing?",
       "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
      {std::string(20, '\xaa'), std::string(50, '\xdd'),
       "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
  };
  for (const Case& c : cases) EXPECT_EQ(hex(KeyedHasher(key_of(c.key))(c.text)), c.digest) << c.text;
}

TEST(KeyedHasher, AgreesWithOpenSslAtEveryLength) {
  Key key = key_of("0123456789abcdefghijklmnopqrstuv");
  KeyedHasher hasher(key);
  std::string secret;
  for (int length = 0; length < 300; ++length) {
    Digest expected;
    unsigned int size = 0;
    HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
         reinterpret_cast<const unsigned char*>(secret.data()), secret.size(),
         reinterpret_cast<unsigned char*>(&expected), &size);
    ASSERT_EQ(hex(hasher(secret)), hex(expected)) << length;
    secret += static_cast<char>('a' + length % 26);
  }
}

TEST(KeyedHasher, AnotherKeyGivesAnotherDigest) {
  EXPECT_FALSE(KeyedHasher(key_of("a"))("secret") == KeyedHasher(key_of("b"))("secret"));
}

TEST(KeyedHasher, DigestsDifferWhereverTheyDiffer) {
  Digest digest = KeyedHasher(key_of("a"))("secret");
  for (size_t bit = 0; bit < 256; ++bit) {
    Digest other = digest;
    other.words[bit / 64] ^= uint64_t{1} << bit % 64;
    EXPECT_FALSE(digest == other) << bit;
  }
  EXPECT_TRUE(digest == Digest(digest));
}

}  // namespace
}  // namespace sluice::store
