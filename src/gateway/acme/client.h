// What is said to a certificate authority, from its directory to the certificate (RFC 8555).
#pragma once

#include <expected>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/acme/account_key.h"
#include "gateway/http_fetch.h"

namespace sluice::gateway::acme {

/// Why there is no certificate: a clause about the CA, "it ...", and when it is to be asked again at the
/// earliest.
struct Refusal {
  std::string why;
  bool by_ca = false;  // it has answered, and refused
  Duration retry_after{0};
};
template <class T>
using Outcome = std::expected<T, Refusal>;

/// One of a CA's ways to see that a name is ours.
struct Challenge {
  std::string url;
  std::string token;
};
/// What is asked of us for a name.
struct Authorization {
  std::string url;
  std::string domain;
  bool valid = false;                           // from before
  std::map<std::string, Challenge> challenges;  // by type
};
struct Order {
  std::string url;
  std::string status;
  std::vector<std::string> authorizations;
  std::string finalize;
  std::string certificate;  // once it is "valid"
};

/// One conversation. Everything that comes is bounded, and every URL must be one of `https`.
class Client {
 public:
  static constexpr int kMostNonces = 8;  // tries of one request, when the CA says that its nonce was bad

  Client(io::Loop& loop, io::Resolver& resolver, std::shared_ptr<const tls::ClientContext> tls,
         const AccountKey& key, io::CancelToken& token)
      : loop_(loop), resolver_(resolver), tls_(std::move(tls)), key_(key), token_(token) {}

  /// Reads the directory and makes, or finds, the account (sections 7.1.1 and 7.3).
  io::Task<Outcome<void>> begin(std::string directory, std::string email);
  io::Task<Outcome<Order>> new_order(std::vector<std::string> domains);
  io::Task<Outcome<Authorization>> authorization(std::string url);
  /// The CA may look now (section 7.5.1).
  io::Task<Outcome<void>> respond(std::string url);
  /// Until the CA has looked; an error when it has not seen what it wants.
  io::Task<Outcome<void>> await_authorization(std::string url);
  /// Until the certificate is issued; its chain in PEM form.
  io::Task<Outcome<std::string>> finish(Order order, std::string request_der);

 private:
  io::Task<Outcome<FetchAnswer>> post(std::string url, std::string payload);
  io::Task<Outcome<std::string>> take_nonce();
  io::Task<Outcome<FetchAnswer>> fetch(FetchRequest request);
  io::Task<Outcome<Order>> read_order(std::string url);

  io::Loop& loop_;
  io::Resolver& resolver_;
  const std::shared_ptr<const tls::ClientContext> tls_;
  const AccountKey& key_;
  io::CancelToken& token_;
  std::string new_nonce_;
  std::string new_account_;
  std::string new_order_;
  std::string account_;  // its URL
  std::string nonce_;    // the next one; empty: to be asked for
};

}  // namespace sluice::gateway::acme
