#include "tls/peer_identity.h"

#include <fmt/format.h>

#include "tls/openssl.h"

namespace sluice::tls {

namespace {

/// A certificate may list any number of names; more than these are of no use to anybody.
constexpr int kMostNames = 100;

std::string text_of(const X509_NAME* name) {
  OwnedBio bio(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253);
  char* bytes = nullptr;
  long size = BIO_get_mem_data(bio.get(), &bytes);
  return std::string(bytes, static_cast<size_t>(std::max(size, 0L)));
}

std::string hexadecimal(const unsigned char* bytes, size_t size) {
  std::string text;
  for (size_t i = 0; i < size; ++i) fmt::format_to(std::back_inserter(text), "{:02x}", bytes[i]);
  return text;
}

std::string serial_of(const X509* certificate) {
  const ASN1_INTEGER* serial = X509_get0_serialNumber(certificate);
  return hexadecimal(ASN1_STRING_get0_data(serial), static_cast<size_t>(ASN1_STRING_length(serial)));
}

std::string_view text_of(const ASN1_IA5STRING* text) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
          static_cast<size_t>(ASN1_STRING_length(text))};
}

void read_names(const X509* certificate, PeerIdentity& identity) {
  Owned<GENERAL_NAMES, GENERAL_NAMES_free> names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  if (!names) return;
  for (int i = 0; i < std::min(sk_GENERAL_NAME_num(names.get()), kMostNames); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    std::vector<std::string>* list = nullptr;
    if (name->type == GEN_DNS) list = &identity.dns_names;
    if (name->type == GEN_URI) list = &identity.uris;
    if (name->type == GEN_EMAIL) list = &identity.emails;
    if (!list) continue;
    std::string_view text = text_of(name->d.ia5);
    if (text.find('\0') == std::string_view::npos) list->emplace_back(text);
  }
}

}  // namespace

std::unique_ptr<const PeerIdentity> verified_peer(const ssl_st* ssl) {
  const X509* certificate = SSL_get0_peer_certificate(ssl);
  if (!certificate || SSL_get_verify_result(ssl) != X509_V_OK) return nullptr;
  auto identity = std::make_unique<PeerIdentity>();
  identity->subject = text_of(X509_get_subject_name(certificate));
  identity->issuer = text_of(X509_get_issuer_name(certificate));
  identity->serial = serial_of(certificate);
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  X509_digest(certificate, EVP_sha256(), digest, &size);
  identity->fingerprint = hexadecimal(digest, size);
  read_names(certificate, *identity);
  return identity;
}

}  // namespace sluice::tls
