// A new key, and a request to a CA for a certificate of it (PKCS #10, RFC 2986).
#pragma once

#include <string>
#include <vector>

namespace sluice::tls {

struct CertificateRequest {
  std::string key;  // PEM, P-256
  std::string der;  // the request, signed with it
};

/// For these DNS names.
CertificateRequest make_certificate_request(const std::vector<std::string>& names);

}  // namespace sluice::tls
