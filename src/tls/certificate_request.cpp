#include "tls/certificate_request.h"

#include "tls/openssl.h"

namespace sluice::tls {

namespace {

void add_names(X509_REQ* request, const std::vector<std::string>& names) {
  std::string alternatives;
  for (const std::string& name : names) alternatives += (alternatives.empty() ? "DNS:" : ",DNS:") + name;
  Owned<X509_EXTENSION, X509_EXTENSION_free> extension(
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, alternatives.c_str()));
  STACK_OF(X509_EXTENSION)* extensions = sk_X509_EXTENSION_new_null();
  sk_X509_EXTENSION_push(extensions, extension.get());
  X509_REQ_add_extensions(request, extensions);
  sk_X509_EXTENSION_free(extensions);
}

}  // namespace

CertificateRequest make_certificate_request(const std::vector<std::string>& names) {
  OwnedKey key(EVP_EC_gen("P-256"));
  Owned<X509_REQ, X509_REQ_free> request(X509_REQ_new());
  X509_REQ_set_version(request.get(), X509_REQ_VERSION_1);
  X509_REQ_set_pubkey(request.get(), key.get());
  add_names(request.get(), names);
  X509_REQ_sign(request.get(), key.get(), EVP_sha256());

  CertificateRequest made;
  unsigned char* der = nullptr;
  int size = i2d_X509_REQ(request.get(), &der);
  made.der.assign(reinterpret_cast<const char*>(der), static_cast<size_t>(size));
  OPENSSL_free(der);
  OwnedBio bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  char* text = nullptr;
  long length = BIO_get_mem_data(bio.get(), &text);
  made.key.assign(text, static_cast<size_t>(length));
  return made;
}

}  // namespace sluice::tls
