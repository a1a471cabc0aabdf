// The field lists of what concerns TLS.
#include "config/document.h"
#include "config/document_types.h"

namespace sluice::config {

const Struct<ClientCertificates>& ClientCertificates::schema() {
  static const auto schema =
      Struct<ClientCertificates>("client_certificates", "Which clients show a certificate.")
          .field("hosts", &ClientCertificates::hosts,
                 "Host names, or `*.suffix` for all below one; any when left out.")
          .one_or_many()
          .field("mode", &ClientCertificates::mode,
                 "`required`, `optional` (one that is shown must be good), or `off`.")
          .field("ca", &ClientCertificates::ca, "The entry of `trust` whose certificates are taken.")
          .field("depth", &ClientCertificates::depth,
                 "How many certificates may stand between the client's and the CA's.")
          .range(0, 16)
          .check([](const ClientCertificates& rule, const Node& node, Reader& reader) {
            if (rule.mode != ClientCertificateMode::kOff && rule.ca.empty())
              reader.error(node, "missing-key", "client certificates need a `ca` to be verified against");
          });
  return schema;
}

const Struct<ListenerTls>& ListenerTls::schema() {
  static const auto schema =
      Struct<ListenerTls>("listener_tls", "TLS on a listener.")
          .field("certificates", &ListenerTls::certificates,
                 "Entries of `certificates`; the name that the client asks for chooses, the first one is for "
                 "all others. Left out: the gateway signs one itself, for trying things out.")
          .one_or_many()
          .field("client_certificates", &ListenerTls::client_certificates,
                 "Who has to show a certificate; the first entry that fits the host.")
          .field("profile", &ListenerTls::profile,
                 "Mozilla's `intermediate` (TLS 1.2 and 1.3) or `modern` (TLS 1.3 only).")
          .field("versions", &ListenerTls::versions, "Instead of the profile's: `tls1.2`, `tls1.3`.")
          .one_or_many()
          .field("ciphers", &ListenerTls::ciphers,
                 "Instead of the profile's, in OpenSSL's names, the preferred first.")
          .one_or_many()
          .field("groups", &ListenerTls::groups,
                 "Key-exchange groups instead of the profile's, the preferred first.")
          .one_or_many()
          .field("strict_sni", &ListenerTls::strict_sni,
                 "Refuse names that no certificate is for, instead of showing the first one.")
          .field("ticket_keys", &ListenerTls::ticket_keys,
                 "Files of 80 random bytes, the newest first, for session tickets that several nodes share. "
                 "Left out: keys of this process, changed every 12 hours.")
          .one_or_many();
  return schema;
}

const Struct<Acme>& Acme::schema() {
  static const auto schema =
      Struct<Acme>("acme", "A certificate that a CA gives by itself, by ACME (RFC 8555).")
          .field("directory", &Acme::directory, "The CA's directory; Let's Encrypt's when left out.")
          .field("email", &Acme::email, "Where the CA may write to.")
          .field("domains", &Acme::domains, "The names that it is for, without wildcards.")
          .required()
          .one_or_many()
          .min_items(1)
          .field("challenge", &Acme::challenge,
                 "How the CA sees that they are ours: `http-01` by a request to port 80, `tls-alpn-01` by a "
                 "handshake with port 443.")
          .field("ca", &Acme::ca,
                 "The entry of `trust` that the directory's own certificate comes from; the system's CAs "
                 "when left out.")
          .field("renew_before", &Acme::renew_before,
                 "How long before its end it is renewed; at most a third of its whole time.")
          .range(std::chrono::hours(1), std::chrono::days(365));
  return schema;
}

const Struct<Certificate>& Certificate::schema() {
  static const auto schema =
      Struct<Certificate>("certificate",
                          "A certificate and its key, in files that are read again when they change, or from "
                          "a CA by ACME.")
          .field("cert", &Certificate::cert, "PEM: the certificate, then its issuer, and so on.")
          .field("key", &Certificate::key, "PEM: its private key, without a password.")
          .field("ocsp", &Certificate::ocsp, "DER: an OCSP response that is stapled.")
          .field("fetch_ocsp", &Certificate::fetch_ocsp,
                 "Ask the responder that the certificate names for such a response, and again in time.")
          .field("acme", &Certificate::acme, "Instead of files: a CA that gives and renews it.")
          .check([](const Certificate& certificate, const Node& node, Reader& reader) {
            const bool files = !certificate.cert.empty() || !certificate.key.empty();
            if (certificate.acme && (files || !certificate.ocsp.empty()))
              reader.error(node, "exclusive-keys", "`acme` and files exclude each other");
            else if (!certificate.acme && (certificate.cert.empty() || certificate.key.empty()))
              reader.error(node, "missing-key", "a certificate needs `cert` and `key`, or `acme`");
          });
  return schema;
}

const Struct<Trust>& Trust::schema() {
  static const auto schema =
      Struct<Trust>("trust", "Certificate authorities that are believed.")
          .field("ca", &Trust::ca, "PEM: their certificates.")
          .required()
          .field("crl", &Trust::crl,
                 "PEM: what they have revoked, a list for each of them; without it nothing is looked up.");
  return schema;
}

const Struct<UpstreamTls>& UpstreamTls::schema() {
  static const auto schema =
      Struct<UpstreamTls>("upstream_tls", "How targets with `https://` are spoken to.")
          .field("ca", &UpstreamTls::ca,
                 "The entry of `trust` that their certificates come from; the system's CAs when left out.")
          .field("verify", &UpstreamTls::verify,
                 "Whether their certificates are verified; `false` only for trying things out.")
          .field("sni", &UpstreamTls::sni,
                 "The name asked for, which the certificate must be for; the target's host when left out.")
          .field("certificate", &UpstreamTls::certificate,
                 "The entry of `certificates` that we show them; none when left out.");
  return schema;
}

}  // namespace sluice::config
