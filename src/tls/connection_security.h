// What a TLS handshake has established about a connection, for whoever handles what comes over it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::tls {

class ServerContext;

/// Who is at the other end, proven by a certificate that was verified.
struct PeerIdentity {
  std::string subject;                 // RFC 4514: "CN=partner,O=Example"
  std::string issuer;                  // likewise
  std::string serial;                  // hexadecimal
  std::string fingerprint;             // SHA-256 of the certificate, lower-case hexadecimal
  std::vector<std::string> dns_names;  // subject alternative names
  std::vector<std::string> uris;
  std::vector<std::string> emails;
};

struct ConnectionSecurity {
  std::string_view version;   // "TLSv1.3"; static, like the next two
  std::string_view cipher;    // "TLS_AES_128_GCM_SHA256"
  std::string_view protocol;  // what ALPN settled: "http/1.1"; empty: nothing
  std::string server_name;    // SNI in lower case; empty: none
  uint16_t client_rule = 0;   // of `context`: the client-certificate rule that held
  bool resumed = false;
  std::unique_ptr<const PeerIdentity> peer;      // null: it showed no certificate
  std::shared_ptr<const ServerContext> context;  // null: we are the client
};

}  // namespace sluice::tls
