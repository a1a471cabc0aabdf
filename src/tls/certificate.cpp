#include "tls/certificate.h"

#include <fmt/format.h>
#include <openssl/pem.h>

#include "base/ascii.h"
#include "tls/openssl.h"

namespace sluice::tls {

namespace {

using Part = CertificateError::Part;

/// Longer ones are a mistake: a client has to read it all before anything else.
constexpr size_t kMostCertificates = 16;

std::unexpected<CertificateError> fault(Part part, std::string text) {
  return std::unexpected(CertificateError{part, std::move(text)});
}

/// Keys are not encrypted: nobody could type the password at every start.
int no_password(char*, int, int, void*) { return -1; }

std::vector<std::string> names_of(const X509* certificate) {
  std::vector<std::string> names;
  Owned<GENERAL_NAMES, GENERAL_NAMES_free> alternatives(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  auto add = [&](const ASN1_STRING* text) {
    std::string_view bytes(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                           static_cast<size_t>(ASN1_STRING_length(text)));
    if (bytes.find('\0') == std::string_view::npos) names.push_back(ascii::to_lower(bytes));
  };
  for (int i = 0; alternatives && i < sk_GENERAL_NAME_num(alternatives.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(alternatives.get(), i);
    if (name->type == GEN_DNS) add(name->d.dNSName);
  }
  if (alternatives) return names;
  const X509_NAME* subject = X509_get_subject_name(certificate);
  int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (at >= 0) add(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
  return names;
}

}  // namespace

void Certificate::staple(std::shared_ptr<const std::string> response) const {
  std::lock_guard lock(mutex_);
  stapled_ = std::move(response);
}

std::shared_ptr<const std::string> Certificate::stapled() const {
  std::lock_guard lock(mutex_);
  return stapled_;
}

Certificate::~Certificate() {
  for (X509* certificate : chain_) X509_free(certificate);
  EVP_PKEY_free(key_);
}

std::expected<std::shared_ptr<const Certificate>, CertificateError> Certificate::load(
    std::string name, const CertificateText& text) {
  ERR_clear_error();
  std::shared_ptr<Certificate> certificate(new Certificate);
  certificate->name_ = std::move(name);
  if (auto read = certificate->read_chain(text.chain); !read) return std::unexpected(read.error());
  if (auto read = certificate->read_key(text.key); !read) return std::unexpected(read.error());
  if (auto read = certificate->read_ocsp(text.ocsp); !read) return std::unexpected(read.error());
  std::string all = text.chain + '\0' + text.key + '\0' + text.ocsp;
  EVP_Digest(all.data(), all.size(), certificate->digest_.data(), nullptr, EVP_sha256(), nullptr);
  OPENSSL_cleanse(all.data(), all.size());
  return certificate;
}

std::expected<void, CertificateError> Certificate::read_chain(const std::string& pem) {
  OwnedBio bio = bio_of(pem);
  while (X509* certificate = PEM_read_bio_X509(bio.get(), nullptr, no_password, nullptr)) {
    chain_.push_back(certificate);
    if (chain_.size() > kMostCertificates)
      return fault(Part::kChain, fmt::format("more than {} certificates", kMostCertificates));
  }
  bool ended = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  std::string why = take_error_text("not PEM");
  if (chain_.empty() && ended) return fault(Part::kChain, "no certificate in PEM form is in it");
  if (!ended) return fault(Part::kChain, fmt::format("certificate {}: {}", chain_.size() + 1, why));
  for (size_t i = 0; i + 1 < chain_.size(); ++i) {
    if (X509_check_issued(chain_[i + 1], chain_[i]) == X509_V_OK) continue;
    ERR_clear_error();
    return fault(Part::kChain, fmt::format("certificate {} has not issued certificate {}: the order is the "
                                           "server's own, its issuer, and so on",
                                           i + 2, i + 1));
  }
  not_before_ = WallTime::min();
  not_after_ = WallTime::max();
  for (const X509* certificate : chain_) {
    not_before_ = std::max(not_before_, wall_time_of(X509_get0_notBefore(certificate)));
    not_after_ = std::min(not_after_, wall_time_of(X509_get0_notAfter(certificate)));
  }
  dns_names_ = names_of(chain_.front());
  return {};
}

std::expected<void, CertificateError> Certificate::read_key(const std::string& pem) {
  OwnedBio bio = bio_of(pem);
  key_ = PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr);
  if (!key_) {
    ERR_clear_error();
    bool encrypted = pem.find("ENCRYPTED") != std::string::npos;
    return fault(Part::kKey, encrypted ? "the key is encrypted; a server needs one without a password"
                                       : "no private key in PEM form is in it");
  }
  bool fits = X509_check_private_key(chain_.front(), key_) == 1;
  ERR_clear_error();
  if (!fits) return fault(Part::kKey, "the key is not that of the certificate");
  key_type_ = EVP_PKEY_get0_type_name(key_);
  return {};
}

std::expected<void, CertificateError> Certificate::read_ocsp(const std::string& der) {
  if (der.empty()) return {};
  const auto* bytes = reinterpret_cast<const unsigned char*>(der.data());
  Owned<OCSP_RESPONSE, OCSP_RESPONSE_free> response(
      d2i_OCSP_RESPONSE(nullptr, &bytes, static_cast<long>(der.size())));
  ERR_clear_error();
  if (!response) return fault(Part::kOcsp, "no OCSP response in DER form is in it");
  if (OCSP_response_status(response.get()) != OCSP_RESPONSE_STATUS_SUCCESSFUL)
    return fault(Part::kOcsp, "the OCSP response says that the responder failed");
  Owned<OCSP_BASICRESP, OCSP_BASICRESP_free> basic(OCSP_response_get1_basic(response.get()));
  bool about_us = false;
  for (int i = 0; basic && i < OCSP_resp_count(basic.get()); ++i) {
    const OCSP_CERTID* id = OCSP_SINGLERESP_get0_id(OCSP_resp_get0(basic.get(), i));
    ASN1_INTEGER* serial = nullptr;
    OCSP_id_get0_info(nullptr, nullptr, nullptr, &serial, const_cast<OCSP_CERTID*>(id));
    if (serial && ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(chain_.front())) == 0) about_us = true;
  }
  ERR_clear_error();
  if (!about_us) return fault(Part::kOcsp, "the OCSP response is about another certificate");
  staple(std::make_shared<const std::string>(der));
  return {};
}

}  // namespace sluice::tls
