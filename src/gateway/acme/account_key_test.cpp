#include "gateway/acme/account_key.h"

#include <gtest/gtest.h>
#include <openssl/ecdsa.h>

#include <boost/json.hpp>

#include "base/base64.h"
#include "tls/openssl.h"

namespace sluice::gateway::acme {
namespace {

/// Verifies with nothing of ours: the signature back into DER, and OpenSSL's word.
bool verifies(const AccountKey& key, std::string_view text, std::string_view raw) {
  if (raw.size() != 64) return false;
  const auto* bytes = reinterpret_cast<const unsigned char*>(raw.data());
  tls::Owned<ECDSA_SIG, ECDSA_SIG_free> parts(ECDSA_SIG_new());
  ECDSA_SIG_set0(parts.get(), BN_bin2bn(bytes, 32, nullptr), BN_bin2bn(bytes + 32, 32, nullptr));
  unsigned char* der = nullptr;
  int size = i2d_ECDSA_SIG(parts.get(), &der);
  std::string pem = key.pem();
  tls::OwnedBio bio = tls::bio_of(pem);
  tls::OwnedKey verifier(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
  tls::Owned<EVP_MD_CTX, EVP_MD_CTX_free> context(EVP_MD_CTX_new());
  EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, verifier.get());
  bool good = EVP_DigestVerify(context.get(), der, static_cast<size_t>(size),
                               reinterpret_cast<const unsigned char*>(text.data()), text.size()) == 1;
  OPENSSL_free(der);
  return good;
}

struct Parts {
  boost::json::object head;
  std::string payload, signed_text, signature;
};
Parts parts_of(const std::string& jws) {
  auto object = boost::json::parse(jws).as_object();
  auto text = [&](const char* name) { return std::string(object.at(name).as_string()); };
  return {.head = boost::json::parse(*base64::decode(text("protected"))).as_object(),
          .payload = *base64::decode(text("payload")),
          .signed_text = text("protected") + "." + text("payload"),
          .signature = *base64::decode(text("signature"))};
}

// RFC 8555, section 6.2; RFC 7518, section 3.4. Many times, for a number with a leading zero byte comes once
// in 256.
TEST(AcmeAccountKey, SignsSoThatOthersCanVerify) {
  AccountKey key = AccountKey::generate();
  for (int i = 0; i < 600; ++i) {
    Parts parts = parts_of(key.sign({"https://ca.test/o", "n-1", "https://ca.test/a/1"}, R"({"a":1})"));
    EXPECT_EQ(parts.head.at("alg"), "ES256");
    EXPECT_EQ(parts.head.at("url"), "https://ca.test/o");
    EXPECT_EQ(parts.head.at("nonce"), "n-1");
    EXPECT_EQ(parts.head.at("kid"), "https://ca.test/a/1");
    EXPECT_FALSE(parts.head.contains("jwk")) << "one of the two only";
    EXPECT_EQ(parts.payload, R"({"a":1})");
    ASSERT_TRUE(verifies(key, parts.signed_text, parts.signature)) << i;
  }
}

TEST(AcmeAccountKey, SendsItselfWhereThereIsNoAccountYet) {
  AccountKey key = AccountKey::generate();
  Parts parts = parts_of(key.sign({"https://ca.test/new", "n", ""}, ""));
  EXPECT_FALSE(parts.head.contains("kid"));
  EXPECT_EQ(parts.head.at("jwk"), boost::json::parse(key.jwk()));
  EXPECT_EQ(base64::decode(std::string(parts.head.at("jwk").at("x").as_string()))->size(), 32u);
  EXPECT_EQ(parts.payload, "") << "POST-as-GET";
}

// RFC 8555, section 8.1: the token and the thumbprint (RFC 7638) of the key, whose members stand in order.
TEST(AcmeAccountKey, AuthorizesATokenWithItsThumbprint) {
  AccountKey key = AccountKey::generate();
  EXPECT_EQ(key.authorize("tok"), "tok." + base64url(sha256(key.jwk())));
  EXPECT_TRUE(key.jwk().starts_with(R"({"crv":"P-256","kty":"EC","x":")"));
}

TEST(AcmeAccountKey, ComesBackFromItsFile) {
  AccountKey key = AccountKey::generate();
  auto again = AccountKey::from_pem(key.pem());
  ASSERT_TRUE(again);
  EXPECT_EQ(again->jwk(), key.jwk());
  EXPECT_FALSE(AccountKey::from_pem("junk"));
  tls::OwnedKey rsa(EVP_RSA_gen(2048));
  tls::OwnedBio bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_PrivateKey(bio.get(), rsa.get(), nullptr, nullptr, 0, nullptr, nullptr);
  char* bytes = nullptr;
  long size = BIO_get_mem_data(bio.get(), &bytes);
  EXPECT_FALSE(AccountKey::from_pem({bytes, static_cast<size_t>(size)})) << "ES256 wants P-256";
}

// RFC 7515, appendix C.
TEST(AcmeAccountKey, Base64urlHasNoPadding) { EXPECT_EQ(base64url("\x03\xec\xff\xe0\xc1"), "A-z_4ME"); }

}  // namespace
}  // namespace sluice::gateway::acme
