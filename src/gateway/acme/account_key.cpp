#include "gateway/acme/account_key.h"

#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/base64.h"
#include "tls/openssl.h"

namespace sluice::gateway::acme {

namespace {

constexpr size_t kCoordinateBytes = 32;  // of P-256

using OwnedNumber = tls::Owned<BIGNUM, BN_clear_free>;

std::string bytes_of(const BIGNUM* number) {
  std::array<unsigned char, kCoordinateBytes> bytes{};
  BN_bn2binpad(number, bytes.data(), bytes.size());
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string coordinate(const EVP_PKEY* key, const char* name) {
  BIGNUM* number = nullptr;
  EVP_PKEY_get_bn_param(key, name, &number);
  OwnedNumber owned(number);
  return base64url(bytes_of(number));
}

/// Texts of a CA's: URLs and nonces, which have been checked to need no escape but these.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

}  // namespace

std::string base64url(std::string_view bytes) {
  std::string out;
  base64::append_encoded(bytes, out);
  while (out.ends_with('=')) out.pop_back();
  std::ranges::replace(out, '+', '-');
  std::ranges::replace(out, '/', '_');
  return out;
}

std::string sha256(std::string_view bytes) {
  std::array<unsigned char, 32> digest{};
  EVP_Digest(bytes.data(), bytes.size(), digest.data(), nullptr, EVP_sha256(), nullptr);
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

AccountKey AccountKey::generate() { return AccountKey(EVP_EC_gen("P-256")); }

std::optional<AccountKey> AccountKey::from_pem(std::string_view pem) {
  tls::OwnedBio bio = tls::bio_of(pem);
  tls::OwnedKey key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  std::array<char, 32> group{};
  if (!key || EVP_PKEY_get_group_name(key.get(), group.data(), group.size(), nullptr) != 1 ||
      std::string_view(group.data()) != "prime256v1") {
    ERR_clear_error();
    return std::nullopt;
  }
  return AccountKey(key.release());
}

AccountKey::AccountKey(AccountKey&& other) noexcept : key_(std::exchange(other.key_, nullptr)) {}
AccountKey& AccountKey::operator=(AccountKey&& other) noexcept {
  std::swap(key_, other.key_);
  return *this;
}
AccountKey::~AccountKey() { EVP_PKEY_free(key_); }

std::string AccountKey::pem() const {
  tls::OwnedBio bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_PrivateKey(bio.get(), key_, nullptr, nullptr, 0, nullptr, nullptr);
  char* bytes = nullptr;
  long size = BIO_get_mem_data(bio.get(), &bytes);
  return {bytes, static_cast<size_t>(size)};
}

std::string AccountKey::jwk() const {
  return fmt::format(R"({{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}})",
                     coordinate(key_, OSSL_PKEY_PARAM_EC_PUB_X), coordinate(key_, OSSL_PKEY_PARAM_EC_PUB_Y));
}

std::string AccountKey::authorize(std::string_view token) const {
  return fmt::format("{}.{}", token, base64url(sha256(jwk())));
}

std::string AccountKey::sign(const Header& header, std::string_view payload) const {
  std::string who = header.account.empty() ? "\"jwk\":" + jwk() : "\"kid\":" + quoted(header.account);
  std::string head = base64url(fmt::format(R"({{"alg":"ES256",{},"nonce":{},"url":{}}})", who,
                                           quoted(header.nonce), quoted(header.url)));
  std::string body = base64url(payload);
  return fmt::format(R"({{"protected":"{}","payload":"{}","signature":"{}"}})", head, body,
                     base64url(signature(head + "." + body)));
}

/// Both numbers at their full length (RFC 7518, section 3.4), not in DER as OpenSSL has them.
std::string AccountKey::signature(std::string_view text) const {
  tls::Owned<EVP_MD_CTX, EVP_MD_CTX_free> context(EVP_MD_CTX_new());
  EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key_);
  std::array<unsigned char, 128> der{};
  size_t size = der.size();
  EVP_DigestSign(context.get(), der.data(), &size, reinterpret_cast<const unsigned char*>(text.data()),
                 text.size());
  const unsigned char* at = der.data();
  tls::Owned<ECDSA_SIG, ECDSA_SIG_free> parts(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(size)));
  return bytes_of(ECDSA_SIG_get0_r(parts.get())) + bytes_of(ECDSA_SIG_get0_s(parts.get()));
}

}  // namespace sluice::gateway::acme
