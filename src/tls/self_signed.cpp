// The certificate that the quick start shows.
#include <fmt/format.h>
#include <openssl/pem.h>
#include <openssl/rand.h>

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

}  // namespace

CertificateText make_self_signed(const std::vector<std::string>& names, WallTime now, Duration lifetime) {
  OwnedKey key(EVP_EC_gen("P-256"));
  OwnedCertificate certificate(X509_new());
  X509* x509 = certificate.get();
  X509_set_version(x509, X509_VERSION_3);
  uint64_t serial = 0;
  RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial);
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(x509), serial >> 1);
  set_time(X509_getm_notBefore(x509), now);
  set_time(X509_getm_notAfter(x509), now + lifetime);
  X509_NAME* name = X509_get_subject_name(x509);
  const std::string& common = names.empty() ? "localhost" : names.front();
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(common.c_str()), -1, -1, 0);
  X509_set_issuer_name(x509, name);
  X509_set_pubkey(x509, key.get());
  std::string alternatives = "IP:127.0.0.1,IP:::1";
  for (const std::string& dns : names) alternatives += ",DNS:" + dns;
  add_extension(x509, NID_subject_alt_name, alternatives);
  add_extension(x509, NID_basic_constraints, "critical,CA:TRUE");
  add_extension(x509, NID_subject_key_identifier, "hash");
  X509_sign(x509, key.get(), EVP_sha256());

  CertificateText text;
  OwnedBio chain(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(chain.get(), x509);
  text.chain = text_of(chain.get());
  OwnedBio secret(BIO_new(BIO_s_mem()));
  PEM_write_bio_PrivateKey(secret.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  text.key = text_of(secret.get());
  return text;
}

}  // namespace sluice::tls
