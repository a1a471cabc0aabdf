#include "tls/server_context.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <openssl/core_names.h>
#include <openssl/params.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <unordered_map>

#include "base/ascii.h"
#include "tls/library.h"
#include "tls/name_table.h"
#include "tls/openssl.h"
#include "tls/ticket_crypto.h"

namespace sluice::tls {

namespace {

using Part = SettingsError::Part;

/// Mozilla's intermediate profile, version 5.7, less its DHE ciphers: a client that has neither ECDHE nor
/// TLS 1.3 is older than any in use, and DHE costs the server far more than the client (CVE-2002-20001).
constexpr const char* kIntermediateCiphers =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
constexpr std::string_view kGroups = "X25519:prime256v1:secp384r1";

/// Certificates that are shown for one name, at most one of each type of key.
using CertificateSet = std::vector<const Certificate*>;

void add_to(CertificateSet& set, const Certificate* certificate) {
  for (const Certificate* known : set)
    if (known->key_type() == certificate->key_type()) return;
  set.push_back(certificate);
}

/// Of a ClientHello; empty when there is none. False: malformed (RFC 6066, section 3).
bool read_server_name(SSL* ssl, std::string_view& name) {
  const unsigned char* bytes = nullptr;
  size_t size = 0;
  name = {};
  if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &bytes, &size) != 1) return true;
  // The list's length, the type, the name's length, the name: only one of type 0 is ever sent.
  auto number = [&](size_t at) { return static_cast<size_t>(bytes[at] << 8 | bytes[at + 1]); };
  if (size < 5 || number(0) != size - 2 || bytes[2] != TLSEXT_NAMETYPE_host_name || number(3) != size - 5)
    return false;
  name = {reinterpret_cast<const char*>(bytes + 5), size - 5};
  return !name.empty() && name.size() <= TLSEXT_MAXLEN_host_name && name.find('\0') == name.npos;
}

}  // namespace

struct ServerContext::Parts {
  struct Rule {
    ClientMode mode = ClientMode::kOff;
    std::shared_ptr<const TrustStore> trust;
    int depth = 0;
    // Tickets are good under the rule that they were given under, and no other.
    std::array<unsigned char, 32> session_context{};
  };

  std::vector<std::shared_ptr<const Certificate>> certificates;
  std::vector<OwnedContext> contexts;  // the first one is the default
  std::vector<CertificateSet> sets;    // by context
  NameTable names;                     // to contexts; a wildcard stands for one label
  NameTable rule_hosts;                // to `rules`; a wildcard stands for any depth
  std::vector<Rule> rules;             // 0: no certificate is asked for
  bool strict_sni = false;
  std::string protocols;  // in ALPN's form
  std::shared_ptr<const TicketKeys> ticket_keys;
  std::shared_ptr<const ChallengeCertificates> challenges;
};

/// What OpenSSL calls during a handshake.
struct ServerContext::Hooks {
  static TlsStream& stream_of(SSL* ssl) { return *static_cast<TlsStream*>(SSL_get_app_data(ssl)); }

  /// Before anything of the ClientHello is acted upon, a ticket above all: the name decides on certificate
  /// and client rule.
  static int on_client_hello(SSL* ssl, int* alert, void* argument) {
    const auto& context = *static_cast<const ServerContext*>(argument);
    const Parts& parts = *context.parts_;
    std::string_view written;
    if (!read_server_name(ssl, written)) {
      *alert = SSL_AD_DECODE_ERROR;
      return SSL_CLIENT_HELLO_ERROR;
    }
    ConnectionSecurity& security = stream_of(ssl).mutable_security();
    security.server_name = ascii::to_lower(written);
    if (security.server_name.ends_with('.')) security.server_name.pop_back();
    if (parts.challenges && parts.challenges->pending() && answer_challenge(ssl, *parts.challenges))
      return SSL_CLIENT_HELLO_SUCCESS;
    const uint32_t* found = parts.names.find_one_label(security.server_name);
    if (!found && parts.strict_sni) {
      *alert = SSL_AD_UNRECOGNIZED_NAME;
      return SSL_CLIENT_HELLO_ERROR;
    }
    if (found && *found > 0) SSL_set_SSL_CTX(ssl, parts.contexts[*found].get());
    security.client_rule = context.client_rule_of(security.server_name);
    apply_rule(ssl, parts.rules[security.client_rule]);
    return SSL_CLIENT_HELLO_SUCCESS;
  }

  /// RFC 8737, section 3: a client that offers this protocol alone is a CA, and sees the certificate of the
  /// name's challenge and nothing else.
  static bool answer_challenge(SSL* ssl, const ChallengeCertificates& challenges) {
    constexpr std::string_view kOffer{
        "\x00\x0b\x0a"
        "acme-tls/1",
        13};
    const unsigned char* bytes = nullptr;
    size_t size = 0;
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &bytes, &size) !=
        1)
      return false;
    if (std::string_view(reinterpret_cast<const char*>(bytes), size) != kOffer) return false;
    TlsStream& stream = stream_of(ssl);
    auto certificate = challenges.find(stream.mutable_security().server_name);
    if (!certificate) return false;
    SSL_certs_clear(ssl);
    if (SSL_use_cert_and_key(ssl, certificate->leaf(), certificate->key(), nullptr, 1) != 1) return false;
    SSL_set_options(ssl, SSL_OP_NO_TICKET);
    stream.answer_challenge();
    return true;
  }

  static void apply_rule(SSL* ssl, const Parts::Rule& rule) {
    SSL_set_session_id_context(ssl, rule.session_context.data(), rule.session_context.size());
    if (rule.mode == ClientMode::kOff) return;
    int mode = SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE;
    if (rule.mode == ClientMode::kRequired) mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_set_verify(ssl, mode, nullptr);
    SSL_set_verify_depth(ssl, rule.depth);
    SSL_set1_verify_cert_store(ssl, rule.trust->store());
    SSL_set_client_CA_list(ssl, SSL_dup_CA_list(rule.trust->names()));
  }

  static int on_protocols(SSL* ssl, const unsigned char** selected, unsigned char* size,
                          const unsigned char* offered, unsigned offered_size, void* argument) {
    if (stream_of(ssl).answers_challenge()) {
      *selected = reinterpret_cast<const unsigned char*>(kChallengeProtocol.data());
      *size = static_cast<unsigned char>(kChallengeProtocol.size());
      return SSL_TLSEXT_ERR_OK;
    }
    if (stream_of(ssl).ignores_protocols()) return SSL_TLSEXT_ERR_NOACK;
    const std::string& ours = static_cast<const ServerContext*>(argument)->parts_->protocols;
    unsigned char* match = nullptr;
    if (SSL_select_next_proto(&match, size, reinterpret_cast<const unsigned char*>(ours.data()),
                              static_cast<unsigned>(ours.size()), offered,
                              offered_size) != OPENSSL_NPN_NEGOTIATED)
      return SSL_TLSEXT_ERR_ALERT_FATAL;
    *selected = match;
    return SSL_TLSEXT_ERR_OK;
  }

  static int on_status_request(SSL* ssl, void* argument) {
    const auto& set = *static_cast<const CertificateSet*>(argument);
    const X509* shown = SSL_get_certificate(ssl);
    for (const Certificate* certificate : set) {
      if (certificate->leaf() != shown) continue;
      std::shared_ptr<const std::string> response = certificate->stapled();
      if (!response) continue;
      void* copy = OPENSSL_memdup(response->data(), response->size());
      SSL_set_tlsext_status_ocsp_resp(ssl, copy, static_cast<long>(response->size()));
      return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_NOACK;
  }

  static int on_ticket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                       EVP_MAC_CTX* mac, int sealing) {
    const auto* context = static_cast<const ServerContext*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
    auto keys = context->parts_->ticket_keys->keys();
    if (sealing) return seal_ticket(*keys, name, iv, cipher, mac);
    const int opened = open_ticket(*keys, name, iv, cipher, mac);
    // Clients use a ticket of TLS 1.3 only once (RFC 8446, C.4): without a new one they could resume only
    // every other time.
    return opened == 1 && SSL_version(ssl) == TLS1_3_VERSION ? 2 : opened;
  }
};

ServerContext::ServerContext() : parts_(std::make_unique<Parts>()) {}
ServerContext::~ServerContext() = default;

namespace {

std::string joined(const std::vector<std::string>& names) { return fmt::format("{}", fmt::join(names, ":")); }

std::expected<void, SettingsError> set_strength(SSL_CTX* context, const ServerSettings& settings) {
  bool tls12 = settings.profile == Profile::kIntermediate;
  bool tls13 = true;
  if (!settings.versions.empty()) {
    tls12 = std::ranges::find(settings.versions, Version::kTls12) != settings.versions.end();
    tls13 = std::ranges::find(settings.versions, Version::kTls13) != settings.versions.end();
  }
  SSL_CTX_set_min_proto_version(context, tls12 ? TLS1_2_VERSION : TLS1_3_VERSION);
  SSL_CTX_set_max_proto_version(context, tls13 ? TLS1_3_VERSION : TLS1_2_VERSION);

  // OpenSSL has one list for TLS 1.3 and another for what was before.
  std::vector<std::string> suites;
  std::vector<std::string> older;
  for (const std::string& cipher : settings.ciphers)
    (cipher.starts_with("TLS_") ? suites : older).push_back(cipher);
  std::string list = older.empty() ? kIntermediateCiphers : joined(older);
  bool good = SSL_CTX_set_cipher_list(context, list.c_str()) == 1;
  // An unknown name in a list is passed over in silence: each is tried by itself.
  for (const std::string& cipher : older) {
    OwnedContext probe(SSL_CTX_new(TLS_server_method()));
    if (SSL_CTX_set_cipher_list(probe.get(), cipher.c_str()) == 1) continue;
    ERR_clear_error();
    return std::unexpected(SettingsError{Part::kCiphers, fmt::format("there is no cipher `{}`", cipher)});
  }
  if (!suites.empty()) good = good && SSL_CTX_set_ciphersuites(context, joined(suites).c_str()) == 1;
  if (!good)
    return std::unexpected(SettingsError{Part::kCiphers, take_error_text("these ciphers cannot be had")});
  // With a list of one's own its order holds; else the client knows best what its hardware is good at.
  if (!settings.ciphers.empty()) SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE);

  std::string groups(kGroups);
  if (has_group(kHybridGroup)) groups = fmt::format("{}:{}", kHybridGroup, groups);
  if (!settings.groups.empty()) {
    for (const std::string& group : settings.groups)
      if (!has_group(group))
        return std::unexpected(SettingsError{
            Part::kGroups,
            fmt::format("{} has no group `{}`", OpenSSL_version(OPENSSL_VERSION_STRING), group)});
    groups = joined(settings.groups);
  }
  SSL_CTX_set1_groups_list(context, groups.c_str());
  return {};
}

std::expected<OwnedContext, SettingsError> make_context(const ServerSettings& settings,
                                                        const CertificateSet& set) {
  ERR_clear_error();
  OwnedContext owned(SSL_CTX_new(TLS_server_method()));
  SSL_CTX* context = owned.get();
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  if (auto strength = set_strength(context, settings); !strength) return std::unexpected(strength.error());
  for (const Certificate* certificate : set) {
    STACK_OF(X509)* chain = sk_X509_new_null();
    for (size_t i = 1; i < certificate->chain().size(); ++i) sk_X509_push(chain, certificate->chain()[i]);
    int used = SSL_CTX_use_cert_and_key(context, certificate->leaf(), certificate->key(), chain, 1);
    sk_X509_free(chain);
    if (used != 1)
      return std::unexpected(SettingsError{
          Part::kOther,
          fmt::format("certificate `{}`: {}", certificate->name(), take_error_text("it cannot be used"))});
  }
  return owned;
}

}  // namespace

std::expected<std::shared_ptr<const ServerContext>, SettingsError> ServerContext::make(
    ServerSettings settings) {
  std::shared_ptr<ServerContext> made(new ServerContext);
  Parts& parts = *made->parts_;
  parts.certificates = settings.certificates;
  parts.strict_sni = settings.strict_sni;
  parts.ticket_keys = settings.ticket_keys;
  parts.challenges = settings.challenges;
  for (const std::string& protocol : settings.protocols)
    parts.protocols += static_cast<char>(protocol.size()) + protocol;

  // The names of all certificates, each with those that carry it, in the order given.
  std::map<std::string, CertificateSet> by_name;
  for (const auto& certificate : settings.certificates)
    for (const std::string& name : certificate->dns_names()) add_to(by_name[name], certificate.get());
  CertificateSet fallback{settings.certificates.front().get()};
  if (const auto& names = fallback.front()->dns_names(); !names.empty()) fallback = by_name[names.front()];
  std::map<CertificateSet, uint32_t> numbers{{fallback, 0}};
  parts.sets.push_back(fallback);
  for (const auto& [name, set] : by_name) {
    auto [known, added] = numbers.emplace(set, static_cast<uint32_t>(parts.sets.size()));
    if (added) parts.sets.push_back(set);
    parts.names.add(name, known->second);
  }
  for (const CertificateSet& set : parts.sets) {
    auto context = make_context(settings, set);
    if (!context) return std::unexpected(context.error());
    SSL_CTX* ssl = context->get();
    SSL_CTX_set_app_data(ssl, made.get());
    SSL_CTX_set_client_hello_cb(ssl, Hooks::on_client_hello, made.get());
    if (!parts.protocols.empty()) SSL_CTX_set_alpn_select_cb(ssl, Hooks::on_protocols, made.get());
    if (parts.ticket_keys) {
      SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl, Hooks::on_ticket);
      SSL_CTX_set_timeout(ssl,
                          std::chrono::duration_cast<std::chrono::seconds>(TicketKeys::kLifetime).count());
    } else {
      SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET);
      SSL_CTX_set_num_tickets(ssl, 0);
    }
    parts.contexts.push_back(std::move(*context));
  }
  for (size_t i = 0; i < parts.sets.size(); ++i) {
    SSL_CTX_set_tlsext_status_cb(parts.contexts[i].get(), Hooks::on_status_request);
    SSL_CTX_set_tlsext_status_arg(parts.contexts[i].get(), &parts.sets[i]);
  }

  parts.rules.emplace_back();
  for (const ClientRule& rule : settings.client_rules) {
    Parts::Rule& next = parts.rules.emplace_back();
    next.mode = rule.mode;
    next.trust = rule.trust;
    next.depth = static_cast<int>(rule.depth);
    if (rule.trust && rule.mode != ClientMode::kOff) {
      next.session_context = rule.trust->digest();
      next.session_context[0] ^= static_cast<unsigned char>(rule.mode);
      next.session_context[1] ^= static_cast<unsigned char>(rule.depth);
    }
    auto number = static_cast<uint32_t>(parts.rules.size() - 1);
    for (const std::string& host : rule.hosts) parts.rule_hosts.add(host, number);
    if (rule.hosts.empty()) parts.rule_hosts.add_rest(number);
  }
  return made;
}

std::unique_ptr<TlsStream> ServerContext::accept(io::Loop& loop, std::unique_ptr<io::Stream> below) const {
  SSL* ssl = SSL_new(parts_->contexts.front().get());
  SSL_set_accept_state(ssl);
  auto stream = std::make_unique<TlsStream>(loop, std::move(below), ssl);
  stream->mutable_security().context = shared_from_this();
  return stream;
}

uint16_t ServerContext::client_rule_of(std::string_view host) const {
  const uint32_t* found = parts_->rule_hosts.find_any_depth(host);
  return found ? static_cast<uint16_t>(*found) : 0;
}

bool ServerContext::has_client_rules() const { return parts_->rules.size() > 1; }

std::string_view library_version() { return OpenSSL_version(OPENSSL_VERSION); }

bool has_group(std::string_view name) {
  OwnedContext context(SSL_CTX_new(TLS_method()));
  bool has = SSL_CTX_set1_groups_list(context.get(), std::string(name).c_str()) == 1;
  ERR_clear_error();
  return has;
}

}  // namespace sluice::tls
