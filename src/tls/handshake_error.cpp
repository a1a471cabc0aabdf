#include "tls/handshake_error.h"

#include "tls/openssl.h"

namespace sluice::tls {

namespace {

/// Reasons of OpenSSL's that are alerts of the peer's: this much above the alert's number.
constexpr int kAlertOffset = SSL_AD_REASON_OFFSET;

HandshakeFailure failure_of_verification(long verified) {
  switch (verified) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return HandshakeFailure::kExpiredCertificate;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_UNTRUSTED:
      return HandshakeFailure::kUntrustedCertificate;
    case X509_V_ERR_CERT_REVOKED:
      return HandshakeFailure::kRevokedCertificate;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return HandshakeFailure::kWrongHost;
    default:
      return HandshakeFailure::kInvalidCertificate;
  }
}

HandshakeFailure failure_of_reason(int reason) {
  switch (reason) {
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
    case SSL_R_BAD_RECORD_TYPE:
    case SSL_R_RECORD_LENGTH_MISMATCH:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
      return HandshakeFailure::kNotTls;
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_UNSUPPORTED_SSL_VERSION:
    case SSL_R_UNKNOWN_PROTOCOL:
    case SSL_R_INAPPROPRIATE_FALLBACK:
      return HandshakeFailure::kVersion;
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
    case SSL_R_NO_SUITABLE_KEY_SHARE:
    case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
    case SSL_R_NO_SUITABLE_GROUPS:
      return HandshakeFailure::kCipher;
    case SSL_R_NO_APPLICATION_PROTOCOL:
    case SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL:
      return HandshakeFailure::kProtocol;
    case SSL_R_CALLBACK_FAILED:  // ours fails for that alone
    case SSL_R_CLIENTHELLO_TLSEXT:
      return HandshakeFailure::kServerName;
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      return HandshakeFailure::kNoCertificate;
    default:
      return reason > kAlertOffset ? HandshakeFailure::kAlert : HandshakeFailure::kMalformed;
  }
}

}  // namespace

std::string_view handshake_failure_text(HandshakeFailure failure) {
  static constexpr std::string_view kTexts[kHandshakeFailures] = {"timeout",
                                                                  "closed",
                                                                  "not_tls",
                                                                  "version",
                                                                  "cipher",
                                                                  "server_name",
                                                                  "protocol",
                                                                  "no_certificate",
                                                                  "expired_certificate",
                                                                  "untrusted_certificate",
                                                                  "revoked_certificate",
                                                                  "wrong_host",
                                                                  "invalid_certificate",
                                                                  "alert",
                                                                  "malformed",
                                                                  "other"};
  return kTexts[static_cast<size_t>(failure)];
}

std::string take_error_text(std::string_view otherwise) {
  std::string text(otherwise);
  while (unsigned long code = ERR_get_error()) {
    // "no shared cipher"; where OpenSSL has no words, its numbers.
    const char* reason = ERR_reason_error_string(code);
    if (reason) {
      text = reason;
    } else {
      char numbers[128];
      ERR_error_string_n(code, numbers, sizeof numbers);
      text = numbers;
    }
  }
  return text;
}

HandshakeError take_handshake_error(SSL* ssl) {
  // Before the verdict on a certificate may stand what led to it.
  unsigned long last = ERR_peek_last_error();
  bool unverified =
      ERR_GET_LIB(last) == ERR_LIB_SSL && ERR_GET_REASON(last) == SSL_R_CERTIFICATE_VERIFY_FAILED;
  unsigned long code = unverified ? last : ERR_peek_error();
  int reason = ERR_GET_REASON(code);
  HandshakeError error;
  if (ERR_GET_LIB(code) != ERR_LIB_SSL) {
    error.failure = code ? HandshakeFailure::kMalformed : HandshakeFailure::kOther;
  } else if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
    long verified = SSL_get_verify_result(ssl);
    error.failure = failure_of_verification(verified);
    ERR_clear_error();
    error.detail = X509_verify_cert_error_string(verified);
    return error;
  } else {
    error.failure = failure_of_reason(reason);
  }
  error.detail = take_error_text("handshake failed");
  return error;
}

}  // namespace sluice::tls
