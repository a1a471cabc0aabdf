#include "tls/trust_store.h"

#include <fmt/format.h>
#include <openssl/pem.h>

#include "tls/openssl.h"

namespace sluice::tls {

namespace {

using Part = TrustError::Part;

std::unexpected<TrustError> fault(Part part, std::string text) {
  return std::unexpected(TrustError{part, std::move(text)});
}

/// Whether reading stopped because there was no more, and not at something broken.
bool at_end() { return ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE; }

}  // namespace

TrustStore::TrustStore() : store_(X509_STORE_new()), names_(sk_X509_NAME_new_null()) {}

TrustStore::~TrustStore() {
  X509_STORE_free(store_);
  sk_X509_NAME_pop_free(names_, X509_NAME_free);
}

std::expected<std::shared_ptr<const TrustStore>, TrustError> TrustStore::make(const std::string& ca,
                                                                              const std::string& crl) {
  ERR_clear_error();
  std::shared_ptr<TrustStore> trust(new TrustStore);
  X509_STORE_set_flags(trust->store_, X509_V_FLAG_PARTIAL_CHAIN);
  if (auto added = trust->add_ca(ca); !added) return std::unexpected(added.error());
  if (auto added = trust->add_crl(crl); !added) return std::unexpected(added.error());
  std::string both = ca + '\0' + crl;
  EVP_Digest(both.data(), both.size(), trust->digest_.data(), nullptr, EVP_sha256(), nullptr);
  return trust;
}

std::shared_ptr<const TrustStore> TrustStore::system() {
  static const std::shared_ptr<const TrustStore> shared = [] {
    std::shared_ptr<TrustStore> trust(new TrustStore);
    X509_STORE_set_default_paths(trust->store_);
    ERR_clear_error();
    return trust;
  }();
  return shared;
}

std::expected<void, TrustError> TrustStore::add_ca(const std::string& pem) {
  OwnedBio bio = bio_of(pem);
  int count = 0;
  while (true) {
    OwnedCertificate certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    if (!certificate) break;
    ++count;
    X509_STORE_add_cert(store_, certificate.get());
    sk_X509_NAME_push(names_, X509_NAME_dup(X509_get_subject_name(certificate.get())));
    std::tm parts{};
    if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate.get()), &parts) == 1)
      not_after_ = std::min(not_after_, WallTime(std::chrono::seconds(timegm(&parts))));
  }
  bool ended = at_end();
  std::string why = take_error_text("not PEM");
  if (count == 0 && ended) return fault(Part::kCa, "no certificate in PEM form is in it");
  if (!ended) return fault(Part::kCa, fmt::format("certificate {}: {}", count + 1, why));
  return {};
}

std::expected<void, TrustError> TrustStore::add_crl(const std::string& pem) {
  if (pem.empty()) return {};
  OwnedBio bio = bio_of(pem);
  int count = 0;
  while (true) {
    Owned<X509_CRL, X509_CRL_free> list(PEM_read_bio_X509_CRL(bio.get(), nullptr, nullptr, nullptr));
    if (!list) break;
    ++count;
    X509_STORE_add_crl(store_, list.get());
    std::tm parts{};
    const ASN1_TIME* next = X509_CRL_get0_nextUpdate(list.get());
    if (next && ASN1_TIME_to_tm(next, &parts) == 1)
      crl_next_update_ = std::min(crl_next_update_, WallTime(std::chrono::seconds(timegm(&parts))));
  }
  bool ended = at_end();
  std::string why = take_error_text("not PEM");
  if (count == 0 && ended) return fault(Part::kCrl, "no revocation list in PEM form is in it");
  if (!ended) return fault(Part::kCrl, fmt::format("list {}: {}", count + 1, why));
  X509_STORE_set_flags(store_, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
  return {};
}

}  // namespace sluice::tls
