// ServerContext: how a listener speaks TLS. Which certificate a name gets, who must show one, which versions,
// ciphers and protocols there are.
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "io/loop.h"
#include "io/stream.h"
#include "tls/certificate.h"
#include "tls/challenge_certificates.h"
#include "tls/ticket_keys.h"
#include "tls/tls_stream.h"
#include "tls/trust_store.h"

namespace sluice::tls {

/// Mozilla's names for what to support (https://wiki.mozilla.org/Security/Server_Side_TLS).
enum class Profile : uint8_t { kIntermediate, kModern };
enum class Version : uint8_t { kTls12, kTls13 };
enum class ClientMode : uint8_t { kOff, kOptional, kRequired };

/// For one or several names: whether clients show a certificate. An optional one that is shown must be good.
struct ClientRule {
  std::vector<std::string> hosts = {};  // in lower case; `*.suffix` for any depth below; empty: all
  ClientMode mode = ClientMode::kOff;
  std::shared_ptr<const TrustStore> trust = nullptr;  // null: kOff
  uint32_t depth = 4;                                 // of intermediates
};

struct ServerSettings {
  /// Names choose by what stands in the certificates. Of several for one name the client's abilities decide;
  /// the first one is for clients without SNI, or with an unknown name.
  std::vector<std::shared_ptr<const Certificate>> certificates = {};
  std::vector<ClientRule> client_rules = {};  // the first that fits
  bool strict_sni = false;                    // an unknown name is refused
  std::vector<std::string> protocols = {};    // ALPN, the preferred first
  Profile profile = Profile::kIntermediate;
  std::vector<Version> versions = {};     // instead of the profile's, if any
  std::vector<std::string> ciphers = {};  // likewise, in OpenSSL's names, the preferred first
  std::vector<std::string> groups = {};   // likewise
  std::shared_ptr<const TicketKeys> ticket_keys = nullptr;            // null: no tickets
  std::shared_ptr<const ChallengeCertificates> challenges = nullptr;  // null: none ever
};

/// What is wrong with settings.
struct SettingsError {
  enum class Part : uint8_t { kCiphers, kGroups, kOther };
  Part part;
  std::string text;
};

/// Immutable and shared by all workers; lives as long as a connection that was made with it.
class ServerContext : public std::enable_shared_from_this<ServerContext> {
 public:
  static std::expected<std::shared_ptr<const ServerContext>, SettingsError> make(ServerSettings settings);
  ServerContext(const ServerContext&) = delete;
  ServerContext& operator=(const ServerContext&) = delete;
  ~ServerContext();

  /// A connection whose handshake is to be awaited.
  std::unique_ptr<TlsStream> accept(io::Loop& loop, std::unique_ptr<io::Stream> below) const;

  /// The number of the client rule that holds for a host (without a port, in lower case); 0: none.
  uint16_t client_rule_of(std::string_view host) const;
  bool has_client_rules() const;

 private:
  struct Parts;
  struct Hooks;
  ServerContext();
  std::unique_ptr<Parts> parts_;
};

/// Whether this OpenSSL has a key-exchange group.
bool has_group(std::string_view name);
/// The hybrid one that withstands quantum computers.
inline constexpr std::string_view kHybridGroup = "X25519MLKEM768";

}  // namespace sluice::tls
