// Certificates that are signed by their own keys: what the quick start shows, and what answers challenges.
#include <fmt/format.h>
#include <openssl/pem.h>
#include <openssl/rand.h>

#include <algorithm>

#include "tls/certificate.h"
#include "tls/openssl.h"

namespace sluice::tls {

namespace {

std::string text_of(BIO* bio) {
  char* bytes = nullptr;
  long size = BIO_get_mem_data(bio, &bytes);
  return std::string(bytes, static_cast<size_t>(size));
}

void add_extension(X509* certificate, int id, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  Owned<X509_EXTENSION, X509_EXTENSION_free> extension(
      X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str()));
  X509_add_ext(certificate, extension.get(), -1);
}

void set_time(ASN1_TIME* time, WallTime at) {
  ASN1_TIME_set(time, std::chrono::duration_cast<std::chrono::seconds>(at.time_since_epoch()).count());
}

OwnedCertificate make_unsigned(EVP_PKEY* key, const std::string& common, const std::string& alternatives,
                               WallTime from, WallTime until) {
  OwnedCertificate certificate(X509_new());
  X509* x509 = certificate.get();
  X509_set_version(x509, X509_VERSION_3);
  uint64_t serial = 0;
  RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial);
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(x509), serial >> 1);
  set_time(X509_getm_notBefore(x509), from);
  set_time(X509_getm_notAfter(x509), until);
  X509_NAME* name = X509_get_subject_name(x509);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(common.c_str()), -1, -1, 0);
  X509_set_issuer_name(x509, name);
  X509_set_pubkey(x509, key);
  add_extension(x509, NID_subject_alt_name, alternatives);
  return certificate;
}

CertificateText sign(X509* certificate, EVP_PKEY* key) {
  X509_sign(certificate, key, EVP_sha256());
  CertificateText text;
  OwnedBio chain(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(chain.get(), certificate);
  text.chain = text_of(chain.get());
  OwnedBio secret(BIO_new(BIO_s_mem()));
  PEM_write_bio_PrivateKey(secret.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
  text.key = text_of(secret.get());
  return text;
}

/// RFC 8737, section 6.1: id-pe-acmeIdentifier.
constexpr const char* kAcmeIdentifier = "1.3.6.1.5.5.7.1.31";
constexpr size_t kMaxCommonName = 64;  // RFC 5280, appendix A.1: ub-common-name

}  // namespace

CertificateText make_self_signed(const std::vector<std::string>& names, WallTime now, Duration lifetime) {
  OwnedKey key(EVP_EC_gen("P-256"));
  std::string alternatives = "IP:127.0.0.1,IP:::1";
  for (const std::string& dns : names) alternatives += ",DNS:" + dns;
  std::string common = names.empty() || names.front().size() > kMaxCommonName ? "localhost" : names.front();
  OwnedCertificate certificate = make_unsigned(key.get(), common, alternatives, now, now + lifetime);
  add_extension(certificate.get(), NID_basic_constraints, "critical,CA:TRUE");
  add_extension(certificate.get(), NID_subject_key_identifier, "hash");
  return sign(certificate.get(), key.get());
}

CertificateText make_challenge_certificate(const std::string& domain,
                                           const std::array<unsigned char, 32>& digest, WallTime now) {
  OwnedKey key(EVP_EC_gen("P-256"));
  OwnedCertificate certificate = make_unsigned(key.get(), "acme challenge", "DNS:" + domain,
                                               now - std::chrono::hours(24), now + std::chrono::hours(24));
  // The value is an OCTET STRING of its own within the extension's.
  std::array<unsigned char, 34> value{V_ASN1_OCTET_STRING, static_cast<unsigned char>(digest.size())};
  std::ranges::copy(digest, value.begin() + 2);
  Owned<ASN1_OBJECT, ASN1_OBJECT_free> id(OBJ_txt2obj(kAcmeIdentifier, 1));
  Owned<ASN1_OCTET_STRING, ASN1_OCTET_STRING_free> bytes(ASN1_OCTET_STRING_new());
  ASN1_OCTET_STRING_set(bytes.get(), value.data(), static_cast<int>(value.size()));
  Owned<X509_EXTENSION, X509_EXTENSION_free> extension(
      X509_EXTENSION_create_by_OBJ(nullptr, id.get(), 1, bytes.get()));
  X509_add_ext(certificate.get(), extension.get(), -1);
  return sign(certificate.get(), key.get());
}

}  // namespace sluice::tls
