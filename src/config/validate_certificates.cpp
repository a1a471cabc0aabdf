// Reads the files of certificates and of whom to trust, and says what is wrong with them where they are
// named.
#include "config/validate.h"
#include "http/uri.h"
#include "tls/certificate.h"
#include "tls/ocsp.h"
#include "tls/ticket_keys.h"
#include "tls/trust_store.h"

namespace sluice::config {

namespace {

constexpr size_t kMostFileBytes = 4 << 20;  // a CA bundle of the world has 250 KB

class CertificateLoader {
 public:
  CertificateLoader(const Environment& environment, bool strict, Diagnostics& diagnostics,
                    std::vector<std::string>& files)
      : environment_(environment), diagnostics_(diagnostics), files_(files), strict_(strict) {}

  /// Where it is kept, and itself if it is there: what is not, or no good, its CA is asked for.
  void load_acme(const std::string& name, const std::string& state, Certificate& certificate,
                 const Node& node) {
    certificate.cert = certificate.key = state + "/acme/" + name + ".pem";
    files_.push_back(certificate.cert);
    check_acme(name, *certificate.acme, member_or(node, "acme"));
    auto text = environment_.read_file(certificate.cert, kMostFileBytes);
    if (!text) return;
    auto loaded = tls::Certificate::load(name, {.chain = *text, .key = *text, .ocsp = {}});
    if (loaded)
      certificate.loaded = *loaded;
    else
      diagnostics_.warning(
          member_or(node, "acme"), "bad-certificate",
          "`" + certificate.cert + "` is no good and will be replaced: " + loaded.error().text);
  }

  void load(const std::string& name, Certificate& certificate, const Node& node) {
    const Node& at_chain = member_or(node, "cert");
    const Node& at_key = member_or(node, "key");
    tls::CertificateText text;
    bool good = read(certificate.cert, at_chain, text.chain);
    good &= read(certificate.key, at_key, text.key);
    if (!certificate.ocsp.empty()) good &= read(certificate.ocsp, member_or(node, "ocsp"), text.ocsp);
    if (!good) return;
    auto loaded = tls::Certificate::load(name, text);
    if (!loaded) {
      using Part = tls::CertificateError::Part;
      const Part part = loaded.error().part;
      const std::string& file = part == Part::kKey    ? certificate.key
                                : part == Part::kOcsp ? certificate.ocsp
                                                      : certificate.cert;
      const Node& at = part == Part::kKey ? at_key : part == Part::kOcsp ? member_or(node, "ocsp") : at_chain;
      diagnostics_.error(at, "bad-certificate", "`" + file + "`: " + loaded.error().text);
      return;
    }
    certificate.loaded = *loaded;
    if (certificate.fetch_ocsp) check_fetch(certificate, node);
    check_time("certificate `" + name + "`", certificate.loaded->not_after(), at_chain);
    if (certificate.loaded->not_before() > environment_.now())
      diagnostics_.warning(at_chain, "not-yet-valid", "the certificate `" + name + "` is not valid yet");
  }

  void load(const std::string& name, Trust& trust, const Node& node) {
    const Node& at_ca = member_or(node, "ca");
    std::string ca;
    std::string crl;
    bool good = read(trust.ca, at_ca, ca);
    if (!trust.crl.empty()) good &= read(trust.crl, member_or(node, "crl"), crl);
    if (!good) return;
    auto made = tls::TrustStore::make(ca, crl);
    if (!made) {
      const bool of_crl = made.error().part == tls::TrustError::Part::kCrl;
      diagnostics_.error(of_crl ? member_or(node, "crl") : at_ca, "bad-certificate",
                         "`" + (of_crl ? trust.crl : trust.ca) + "`: " + made.error().text);
      return;
    }
    trust.loaded = *made;
    check_time("CA of `" + name + "`", trust.loaded->not_after(), at_ca);
    if (trust.loaded->crl_next_update() <= environment_.now())
      diagnostics_.warning(member_or(node, "crl"), "stale-crl",
                           "the revocation list of `" + name +
                               "` is out of date: until it is renewed nobody's certificate is taken");
  }

  void load_ticket_keys(ListenerTls& tls, const Node& node) {
    const Node& list = member_or(node, "ticket_keys");
    for (size_t i = 0; i < tls.ticket_keys.size(); ++i) {
      std::string bytes;
      if (!read(tls.ticket_keys[i], item_or(list, i), bytes)) continue;
      if (bytes.size() != tls::TicketKey::kBytes)
        diagnostics_.error(item_or(list, i), "bad-ticket-key",
                           "`" + tls.ticket_keys[i] + "` has " + std::to_string(bytes.size()) +
                               " bytes instead of 80; `openssl rand 80` makes such a file");
      tls.loaded_ticket_keys.push_back(std::move(bytes));
    }
  }

 private:
  void check_acme(const std::string& name, const Acme& acme, const Node& node) {
    if (name.find('/') != std::string::npos)
      diagnostics_.error(node, "invalid-value", "its name becomes a file's, and must not have a `/`");
    auto url = http::parse_target_url(std::string_view(acme.directory).substr(0, acme.directory.find('?')));
    if (!url || !url->tls)
      diagnostics_.error(member_or(node, "directory"), "invalid-value", "must be a URL with `https://`");
    const Node& list = member_or(node, "domains");
    for (size_t i = 0; i < acme.domains.size(); ++i) {
      const std::string& domain = acme.domains[i];
      const Node& at = list.is_scalar() ? list : item_or(list, i);
      if (domain.starts_with("*."))
        diagnostics_.error(at, "invalid-value",
                           "a CA gives wildcards for a challenge over DNS only, which is not supported");
      else if (parse_ip(domain))
        diagnostics_.error(at, "invalid-value", "must be a name, not an address");
      else if (!is_dns_name(domain))
        diagnostics_.error(at, "invalid-value", "must be the name of a host, in lower case");
    }
  }

  static bool is_dns_name(std::string_view name) {
    constexpr size_t kMostBytes = 253;
    if (name.empty() || name.size() > kMostBytes || name.find('.') == std::string_view::npos) return false;
    size_t label = 0;
    for (char c : name) {
      bool good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
      if (c == '.' ? label == 0 : !good || label == 63) return false;
      label = c == '.' ? 0 : label + 1;
    }
    return label > 0;
  }

  void check_fetch(const Certificate& certificate, const Node& node) {
    const Node& at = member_or(node, "fetch_ocsp");
    if (!certificate.ocsp.empty()) {
      diagnostics_.error(at, "exclusive-keys", "`ocsp` gives the response that `fetch_ocsp` would ask for");
      return;
    }
    auto question = tls::ocsp_question(*certificate.loaded);
    if (!question)
      diagnostics_.error(at, "no-ocsp-responder",
                         "nobody can be asked about `" + certificate.cert + "`: " + question.error());
    else if (!http::parse_target_url(question->url))
      diagnostics_.error(
          at, "no-ocsp-responder",
          "`" + certificate.cert + "` names a responder that cannot be asked: " + question->url);
  }

  bool read(const std::string& path, const Node& at, std::string& text) {
    files_.push_back(path);
    auto bytes = environment_.read_file(path, kMostFileBytes);
    if (bytes) {
      text = std::move(*bytes);
      return true;
    }
    diagnostics_.error(at, "unreadable-file", "cannot read `" + path + "`: " + bytes.error());
    return false;
  }

  void check_time(const std::string& what, WallTime not_after, const Node& at) {
    const WallTime now = environment_.now();
    if (not_after <= now) {
      const std::string message = "the " + what + " has expired";
      if (strict_)
        diagnostics_.error(at, "expired", message);
      else
        diagnostics_.warning(at, "expired", message);
    } else if (not_after - now < kExpirySoon) {
      const auto days = std::chrono::duration_cast<std::chrono::days>(not_after - now).count();
      diagnostics_.warning(
          at, "expires-soon",
          "the " + what + " expires in " + std::to_string(days) + (days == 1 ? " day" : " days"));
    }
  }

  const Environment& environment_;
  Diagnostics& diagnostics_;
  std::vector<std::string>& files_;
  bool strict_;
};

}  // namespace

void load_certificates(Document& document, const WrittenNodes& nodes, const Environment& environment,
                       bool strict, Diagnostics& diagnostics, std::vector<std::string>& files) {
  CertificateLoader loader(environment, strict, diagnostics, files);
  for (size_t i = 0; i < document.certificates.size(); ++i) {
    auto& [name, certificate] = document.certificates[i];
    if (certificate.acme)
      loader.load_acme(name, document.gateway.state, certificate, *nodes.certificates[i]);
    else
      loader.load(name, certificate, *nodes.certificates[i]);
  }
  for (size_t i = 0; i < document.trust.size(); ++i)
    loader.load(document.trust[i].first, document.trust[i].second, *nodes.trust[i]);
  if (!nodes.gateway) return;
  const Node& listen = member_or(*nodes.gateway, "listen");
  for (size_t i = 0; i < document.gateway.listen.size(); ++i)
    if (auto& tls = document.gateway.listen[i].tls)
      loader.load_ticket_keys(*tls, member_or(item_or(listen, i), "tls"));
}

}  // namespace sluice::config
