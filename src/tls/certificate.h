// A certificate with its chain and key, read and checked: what a server shows, or a client.
#pragma once

#include <array>
#include <expected>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

struct evp_pkey_st;
struct x509_st;

namespace sluice::tls {

/// PEM and DER texts, as they stand in files.
struct CertificateText {
  std::string chain = {};  // PEM: the certificate, then who issued it, then who issued that
  std::string key = {};    // PEM, not encrypted
  std::string ocsp = {};   // DER: a response to be stapled; empty: none
};

struct CertificateError {
  enum class Part : uint8_t { kChain, kKey, kOcsp };
  Part part;
  std::string text;
};

/// Immutable but for what is stapled, and shared by all threads.
class Certificate {
 public:
  /// `name`: for logs and metrics. Everything fits together: the key, each certificate and its issuer, the
  /// OCSP response. Whether it is expired is for the caller to ask.
  static std::expected<std::shared_ptr<const Certificate>, CertificateError> load(
      std::string name, const CertificateText& text);
  Certificate(const Certificate&) = delete;
  Certificate& operator=(const Certificate&) = delete;
  ~Certificate();

  const std::string& name() const { return name_; }
  /// In lower case, wildcards as they are; without any, the common name.
  const std::vector<std::string>& dns_names() const { return dns_names_; }
  /// The narrowest over the whole chain.
  WallTime not_before() const { return not_before_; }
  WallTime not_after() const { return not_after_; }
  /// What kinds of key there are beside each other for one name: "RSA", "EC", "ED25519".
  std::string_view key_type() const { return key_type_; }
  /// The OCSP response that is shown with it, in DER form: the one of its text until another one is given;
  /// null: none. Asked once a handshake.
  void staple(std::shared_ptr<const std::string> response) const;
  std::shared_ptr<const std::string> stapled() const;
  /// Of all that it was made from.
  const std::array<unsigned char, 32>& digest() const { return digest_; }

  // For OpenSSL.
  x509_st* leaf() const { return chain_.front(); }
  const std::vector<x509_st*>& chain() const { return chain_; }
  evp_pkey_st* key() const { return key_; }

 private:
  Certificate() = default;
  std::expected<void, CertificateError> read_chain(const std::string& pem);
  std::expected<void, CertificateError> read_key(const std::string& pem);
  std::expected<void, CertificateError> read_ocsp(const std::string& der);

  std::string name_;
  std::vector<std::string> dns_names_;
  WallTime not_before_{};
  WallTime not_after_{};
  std::string_view key_type_;
  mutable std::mutex mutex_;
  mutable std::shared_ptr<const std::string> stapled_;
  std::array<unsigned char, 32> digest_{};
  std::vector<x509_st*> chain_;
  evp_pkey_st* key_ = nullptr;
};

/// For the quick start and tests: a new P-256 key and a certificate that it has signed itself, for `names`
/// and the loopback addresses, valid from `now` for `lifetime`.
CertificateText make_self_signed(const std::vector<std::string>& names, WallTime now, Duration lifetime);

/// What answers a challenge of `tls-alpn-01` (RFC 8737, section 3): for `domain` alone, with the digest of
/// the key authorization in it.
CertificateText make_challenge_certificate(const std::string& domain,
                                           const std::array<unsigned char, 32>& digest, WallTime now);

}  // namespace sluice::tls
