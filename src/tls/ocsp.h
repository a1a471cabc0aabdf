// OCSP (RFC 6960): the question about a certificate for its responder, and what the answer is worth.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "base/time.h"
#include "tls/certificate.h"

namespace sluice::tls {

struct OcspQuestion {
  std::string url;   // of the responder, http://
  std::string body;  // DER, to be posted
};

/// In the form that every responder knows (RFC 5019): SHA-1, one certificate, no nonce. The error says what
/// is missing in the certificate or its chain.
std::expected<OcspQuestion, std::string> ocsp_question(const Certificate& certificate);

struct OcspVerdict {
  bool revoked = false;
  WallTime next_update{};  // good until then
};

/// Of a response in DER form: signed by the issuer, or by whom it has named for that, about this certificate,
/// and good now. The error says why not.
std::expected<OcspVerdict, std::string> verify_ocsp(const Certificate& certificate, std::string_view response,
                                                    WallTime now);

}  // namespace sluice::tls
