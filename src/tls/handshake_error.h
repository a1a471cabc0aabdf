// Why a TLS handshake failed: a bounded reason for metrics, and words for the log.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::tls {

enum class HandshakeFailure : uint8_t {
  kTimeout,
  kClosed,                // the peer left, or the connection broke
  kNotTls,                // what came is no TLS: plain HTTP, junk
  kVersion,               // no version in common
  kCipher,                // no cipher, group or signature algorithm in common
  kServerName,            // `strict_sni`, and no certificate for that name
  kProtocol,              // no application protocol in common
  kNoCertificate,         // the peer showed none and had to
  kExpiredCertificate,    // or not valid yet
  kUntrustedCertificate,  // of a CA that is not ours
  kRevokedCertificate,
  kWrongHost,           // the certificate is for somebody else
  kInvalidCertificate,  // any other fault of it
  kAlert,               // the peer refused; the detail says why
  kMalformed,           // the peer broke the protocol
  kOther,
};
inline constexpr size_t kHandshakeFailures = static_cast<size_t>(HandshakeFailure::kOther) + 1;

/// A stable word: "expired_certificate".
std::string_view handshake_failure_text(HandshakeFailure failure);

struct HandshakeError {
  HandshakeFailure failure = HandshakeFailure::kOther;
  std::string detail;  // OpenSSL's or the system's words
};

}  // namespace sluice::tls
