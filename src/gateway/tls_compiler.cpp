#include "gateway/tls_compiler.h"

#include <algorithm>
#include <cstring>

#include "gateway/digest.h"

namespace sluice::gateway {

namespace {

/// What HTTP over TLS may be, the preferred first.
const std::vector<std::string> kServerProtocols = {"h2", "http/1.1"};
const std::vector<std::string> kServerHttp1 = {"http/1.1"};

/// What an upstream is offered. A connection that begins with a PROXY header is for one client alone, which
/// HTTP/2 is not made for.
std::vector<std::string> protocols_of(const config::Upstream& upstream) {
  using config::UpstreamProtocol;
  if (upstream.protocol == UpstreamProtocol::kH2) return {"h2"};
  bool may_share = upstream.proxy_protocol == config::UpstreamProxyProtocol::kOff;
  if (upstream.protocol == UpstreamProtocol::kAuto && may_share) return {"h2", "http/1.1"};
  return {"http/1.1"};
}

constexpr Duration kSelfSignedLifetime = std::chrono::days(365);

/// The loader has seen to it that the name exists; what could not be loaded was an error.
template <class T>
const T* find(const config::Map<T>& map, const std::string& name) {
  auto found =
      std::ranges::find(map, name, [](const auto& entry) -> const std::string& { return entry.first; });
  return found == map.end() ? nullptr : &found->second;
}

ContentDigest digest_of_bytes(const std::array<unsigned char, 32>& bytes) {
  return digest_of({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

tls::ClientMode mode_of(config::ClientCertificateMode mode) {
  switch (mode) {
    case config::ClientCertificateMode::kOff:
      return tls::ClientMode::kOff;
    case config::ClientCertificateMode::kOptional:
      return tls::ClientMode::kOptional;
    case config::ClientCertificateMode::kRequired:
      return tls::ClientMode::kRequired;
  }
  return tls::ClientMode::kRequired;
}

std::shared_ptr<const tls::TicketKeys> keys_of(const std::vector<std::string>& files) {
  tls::TicketKeyList keys;
  for (const std::string& bytes : files) {
    if (bytes.size() != tls::TicketKey::kBytes) continue;  // was an error
    std::memcpy(&keys.emplace_back(), bytes.data(), bytes.size());
  }
  return keys.empty() ? nullptr : std::make_shared<const tls::TicketKeys>(std::move(keys));
}

}  // namespace

void TlsCompiler::recall(config::Document& document) {
  for (auto& [name, certificate] : document.certificates) {
    if (!certificate.loaded) continue;
    ContentDigest digest = combine(digest_of(name), digest_of_bytes(certificate.loaded->digest()));
    std::weak_ptr<const tls::Certificate>& known = known_certificates_[digest];
    if (auto same = known.lock())
      certificate.loaded = std::move(same);
    else
      known = certificate.loaded;
  }
}

/// One for the process's life, so that a client that was told to trust it goes on doing so.
std::shared_ptr<const tls::Certificate> TlsCompiler::self_signed(WallTime now) {
  if (!self_signed_) {
    auto text = tls::make_self_signed({"localhost"}, now, kSelfSignedLifetime);
    self_signed_ = tls::Certificate::load("self-signed", text).value_or(nullptr);
  }
  return self_signed_;
}

std::shared_ptr<const tls::Certificate> TlsCompiler::certificate(const config::Document& document,
                                                                 const std::string& name) {
  const config::Certificate* configured = find(document.certificates, name);
  if (!configured || configured->loaded || !configured->acme)
    return configured ? configured->loaded : nullptr;
  std::shared_ptr<const tls::Certificate>& stand_in = stand_ins_[name];
  const auto& domains = configured->acme->domains;
  if (!stand_in || stand_in->dns_names() != domains) {
    auto text = tls::make_self_signed(domains, document.loaded_at, kSelfSignedLifetime);
    stand_in = tls::Certificate::load(name, text).value_or(nullptr);
  }
  return stand_in;
}

std::shared_ptr<const tls::ServerContext> TlsCompiler::listener(
    const config::Document& document, const config::Listener& listener,
    const std::shared_ptr<const tls::TicketKeys>& own_keys, config::Diagnostics& diagnostics) {
  const config::ListenerTls& configured = *listener.tls;
  ContentDigest digest = combine(digest_of_struct(configured), digest_of(listener.http2 ? "h2" : ""));
  tls::ServerSettings settings{.strict_sni = configured.strict_sni,
                               .protocols = listener.http2 ? kServerProtocols : kServerHttp1,
                               .profile = configured.profile == config::TlsProfile::kModern
                                              ? tls::Profile::kModern
                                              : tls::Profile::kIntermediate,
                               .ciphers = configured.ciphers,
                               .groups = configured.groups,
                               .ticket_keys = own_keys,
                               .challenges = challenges_};
  for (config::TlsVersion version : configured.versions)
    settings.versions.push_back(version == config::TlsVersion::kTls12 ? tls::Version::kTls12
                                                                      : tls::Version::kTls13);
  for (const std::string& name : configured.certificates) {
    auto shown = certificate(document, name);
    if (!shown) return nullptr;
    digest = combine(digest, digest_of_bytes(shown->digest()));
    settings.certificates.push_back(std::move(shown));
  }
  if (settings.certificates.empty()) settings.certificates.push_back(self_signed(document.loaded_at));
  for (const config::ClientCertificates& rule : configured.client_certificates) {
    tls::ClientRule& next = settings.client_rules.emplace_back();
    next.hosts = rule.hosts;
    next.mode = mode_of(rule.mode);
    next.depth = rule.depth;
    if (rule.ca.empty()) continue;
    const config::Trust* trust = find(document.trust, rule.ca);
    if (!trust || !trust->loaded) return nullptr;
    next.trust = trust->loaded;
    digest = combine(digest, digest_of_bytes(trust->loaded->digest()));
  }
  for (const std::string& bytes : configured.loaded_ticket_keys) digest = combine(digest, digest_of(bytes));
  if (auto keys = keys_of(configured.loaded_ticket_keys)) settings.ticket_keys = keys;

  std::weak_ptr<const tls::ServerContext>& known = known_listeners_[digest];
  if (auto context = known.lock()) return context;
  auto made = tls::ServerContext::make(std::move(settings));
  if (!made) {
    diagnostics.error(configured.origin, "bad-tls",
                      "the listener `" + listener.name + "`: " + made.error().text);
    return nullptr;
  }
  known = *made;
  return *made;
}

std::shared_ptr<const tls::ClientContext> TlsCompiler::upstream(const config::Document& document,
                                                                const config::Upstream& upstream,
                                                                ContentDigest& digest,
                                                                config::Diagnostics& diagnostics) {
  digest = digest_of_struct(upstream.tls);
  tls::ClientSettings settings{.verify = upstream.tls.verify, .protocols = protocols_of(upstream)};
  for (const std::string& protocol : settings.protocols) digest = combine(digest, digest_of(protocol));
  if (!upstream.tls.ca.empty()) {
    const config::Trust* trust = find(document.trust, upstream.tls.ca);
    if (!trust || !trust->loaded) return nullptr;
    settings.trust = trust->loaded;
    digest = combine(digest, digest_of_bytes(trust->loaded->digest()));
  }
  if (!upstream.tls.certificate.empty()) {
    settings.certificate = certificate(document, upstream.tls.certificate);
    if (!settings.certificate) return nullptr;
    digest = combine(digest, digest_of_bytes(settings.certificate->digest()));
  }
  std::weak_ptr<const tls::ClientContext>& known = known_upstreams_[digest];
  if (auto context = known.lock()) return context;
  auto made = tls::ClientContext::make(settings);
  if (!made) {
    diagnostics.error(upstream.tls.origin, "bad-tls", made.error());
    return nullptr;
  }
  known = *made;
  return *made;
}

}  // namespace sluice::gateway
