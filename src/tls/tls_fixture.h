// What tests of TLS share: certificates made on the spot, and handshakes over the streams of a back-end.
#pragma once

#include <gtest/gtest.h>

#include <utility>

#include "io/scope.h"
#include "io/stream_fixture.h"
#include "tls/client_context.h"
#include "tls/openssl.h"
#include "tls/server_context.h"

namespace sluice::tls::fixture {

/// From 1970 on, so that no clock matters.
constexpr WallTime kThen{};
constexpr Duration kLong = std::chrono::hours(24 * 365 * 130);

/// Issues certificates under names of the test's choosing.
class Issuer {
 public:
  explicit Issuer(const std::string& name = "Test CA") : key_(EVP_EC_gen("P-256")) {
    certificate_ = make(name, {}, key_.get(), nullptr, kThen + kLong, true);
  }

  struct Wish {
    std::string common_name = "leaf";
    std::vector<std::string> names = {};  // "DNS:a.example", "URI:spiffe://x"
    WallTime until = kThen + kLong;
    bool rsa = false;
    std::string responder = {};  // of OCSP
  };
  CertificateText issue(const Wish& wish) {
    OwnedKey key(wish.rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256"));
    OwnedCertificate leaf =
        make(wish.common_name, wish.names, key.get(), this, wish.until, false, wish.responder);
    CertificateText text;
    text.chain = pem_of(leaf.get());
    OwnedBio bio(BIO_new(BIO_s_mem()));
    PEM_write_bio_PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    text.key = text_of(bio.get());
    return text;
  }
  std::string pem() const { return pem_of(certificate_.get()); }
  /// A list of the certificates in `revoked`.
  std::string revoke(const std::vector<std::string>& revoked) const {
    Owned<X509_CRL, X509_CRL_free> list(X509_CRL_new());
    X509_CRL_set_version(list.get(), X509_CRL_VERSION_2);
    X509_CRL_set_issuer_name(list.get(), X509_get_subject_name(certificate_.get()));
    Owned<ASN1_TIME, ASN1_TIME_free> from(ASN1_TIME_set(nullptr, 0));
    Owned<ASN1_TIME, ASN1_TIME_free> until(ASN1_TIME_set(nullptr, seconds_of(kThen + kLong)));
    X509_CRL_set1_lastUpdate(list.get(), from.get());
    X509_CRL_set1_nextUpdate(list.get(), until.get());
    for (const std::string& pem : revoked) {
      OwnedBio bio = bio_of(pem);
      OwnedCertificate certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
      X509_REVOKED* entry = X509_REVOKED_new();
      X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(certificate.get()));
      X509_REVOKED_set_revocationDate(entry, from.get());
      X509_CRL_add0_revoked(list.get(), entry);
    }
    X509_CRL_sign(list.get(), key_.get(), EVP_sha256());
    OwnedBio bio(BIO_new(BIO_s_mem()));
    PEM_write_bio_X509_CRL(bio.get(), list.get());
    return text_of(bio.get());
  }
  /// What a responder says of a certificate that `about` has issued.
  std::string ocsp(const std::string& pem, const Issuer& about, int verdict, WallTime from,
                   WallTime until) const {
    OwnedBio bio = bio_of(pem);
    OwnedCertificate certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    Owned<OCSP_BASICRESP, OCSP_BASICRESP_free> basic(OCSP_BASICRESP_new());
    Owned<OCSP_CERTID, OCSP_CERTID_free> id(
        OCSP_cert_to_id(EVP_sha1(), certificate.get(), about.certificate_.get()));
    Owned<ASN1_TIME, ASN1_TIME_free> first(ASN1_TIME_set(nullptr, seconds_of(from)));
    Owned<ASN1_TIME, ASN1_TIME_free> last(ASN1_TIME_set(nullptr, seconds_of(until)));
    OCSP_basic_add1_status(basic.get(), id.get(), verdict, 0, first.get(), first.get(), last.get());
    OCSP_basic_sign(basic.get(), certificate_.get(), key_.get(), EVP_sha256(), nullptr, 0);
    Owned<OCSP_RESPONSE, OCSP_RESPONSE_free> response(
        OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic.get()));
    unsigned char* bytes = nullptr;
    int size = i2d_OCSP_RESPONSE(response.get(), &bytes);
    std::string der(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size));
    OPENSSL_free(bytes);
    return der;
  }

 private:
  static time_t seconds_of(WallTime at) {
    return std::chrono::duration_cast<std::chrono::seconds>(at.time_since_epoch()).count();
  }
  static std::string text_of(BIO* bio) {
    char* bytes = nullptr;
    long size = BIO_get_mem_data(bio, &bytes);
    return std::string(bytes, static_cast<size_t>(size));
  }
  static std::string pem_of(X509* certificate) {
    OwnedBio bio(BIO_new(BIO_s_mem()));
    PEM_write_bio_X509(bio.get(), certificate);
    return text_of(bio.get());
  }
  static void extend(X509* certificate, X509* issuer, int id, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    Owned<X509_EXTENSION, X509_EXTENSION_free> extension(
        X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str()));
    X509_add_ext(certificate, extension.get(), -1);
  }
  OwnedCertificate make(const std::string& common_name, const std::vector<std::string>& names, EVP_PKEY* key,
                        Issuer* issuer, WallTime until, bool ca, const std::string& responder = "") {
    OwnedCertificate made(X509_new());
    X509* x509 = made.get();
    X509_set_version(x509, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), ++serial_);
    ASN1_TIME_set(X509_getm_notBefore(x509), 0);
    ASN1_TIME_set(X509_getm_notAfter(x509), seconds_of(until));
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1, 0);
    X509* signer = issuer ? issuer->certificate_.get() : x509;
    X509_set_issuer_name(x509, X509_get_subject_name(signer));
    X509_set_pubkey(x509, key);
    if (ca) extend(x509, signer, NID_basic_constraints, "critical,CA:TRUE");
    std::string list;
    for (const std::string& name : names) list += (list.empty() ? "" : ",") + name;
    if (!list.empty()) extend(x509, signer, NID_subject_alt_name, list);
    if (!responder.empty()) extend(x509, signer, NID_info_access, "OCSP;URI:" + responder);
    X509_sign(x509, issuer ? issuer->key_.get() : key, EVP_sha256());
    return made;
  }

  OwnedKey key_;
  OwnedCertificate certificate_;
  long serial_ = 0;
};

inline std::shared_ptr<const Certificate> load(const CertificateText& text, std::string name = "test") {
  auto loaded = Certificate::load(std::move(name), text);
  if (!loaded) throw std::runtime_error(loaded.error().text);
  return *loaded;
}

inline std::shared_ptr<const ServerContext> server_context(ServerSettings settings) {
  auto made = ServerContext::make(std::move(settings));
  if (!made) throw std::runtime_error(made.error().text);
  return *made;
}

inline std::shared_ptr<const ClientContext> client_context(const ClientSettings& settings) {
  auto made = ClientContext::make(settings);
  if (!made) throw std::runtime_error(made.error());
  return *made;
}

using Outcome = std::expected<void, HandshakeError>;

inline io::Task<> shake(TlsStream& stream, Outcome& outcome) { outcome = co_await stream.handshake(); }

/// Both ends of a connection after their handshakes.
struct Shaken {
  std::unique_ptr<TlsStream> client;
  std::unique_ptr<TlsStream> server;
  Outcome client_outcome;
  Outcome server_outcome;
};

inline io::Task<Shaken> shake_hands(std::unique_ptr<TlsStream> client, std::unique_ptr<TlsStream> server) {
  Shaken shaken{std::move(client), std::move(server), {}, {}};
  io::TaskScope scope;
  scope.spawn(shake(*shaken.client, shaken.client_outcome));
  scope.spawn(shake(*shaken.server, shaken.server_outcome));
  co_await scope.join();
  co_return shaken;
}

}  // namespace sluice::tls::fixture
