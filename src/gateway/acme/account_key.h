// The key of an account at a CA, and requests signed with it: flattened JWS with ES256 (RFC 7515, RFC 7518).
#pragma once

#include <optional>
#include <string>
#include <string_view>

struct evp_pkey_st;

namespace sluice::gateway::acme {

/// RFC 4648, section 5, without padding.
std::string base64url(std::string_view bytes);
std::string sha256(std::string_view bytes);

class AccountKey {
 public:
  static AccountKey generate();
  /// nullopt: no P-256 key in PEM form.
  static std::optional<AccountKey> from_pem(std::string_view pem);
  AccountKey(AccountKey&& other) noexcept;
  AccountKey& operator=(AccountKey&& other) noexcept;
  ~AccountKey();

  std::string pem() const;
  /// The public half, with its members in the order of RFC 7638, section 3.
  std::string jwk() const;
  /// What a challenge is answered with (RFC 8555, section 8.1).
  std::string authorize(std::string_view token) const;

  struct Header {
    std::string_view url;
    std::string_view nonce;
    std::string_view account;  // its URL; empty: the key itself is sent, for `newAccount`
  };
  /// The body of a POST. An empty payload is a POST-as-GET (RFC 8555, section 6.3).
  std::string sign(const Header& header, std::string_view payload) const;

 private:
  explicit AccountKey(evp_pkey_st* key) : key_(key) {}
  std::string signature(std::string_view text) const;

  evp_pkey_st* key_;
};

}  // namespace sluice::gateway::acme
