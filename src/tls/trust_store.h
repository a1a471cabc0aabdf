// Whom to believe: CA certificates and what they have revoked.
#pragma once

#include <array>
#include <expected>
#include <memory>
#include <string>

#include "base/time.h"

struct x509_store_st;
struct stack_st_X509_NAME;

namespace sluice::tls {

struct TrustError {
  enum class Part : uint8_t { kCa, kCrl };
  Part part;
  std::string text;
};

/// Immutable and shared by all threads.
class TrustStore {
 public:
  /// `ca`: certificates in PEM form; each is trusted as it is, also one that another CA has issued. `crl`:
  /// lists in PEM form, of every CA that may stand in a chain; empty: nothing is looked up.
  static std::expected<std::shared_ptr<const TrustStore>, TrustError> make(const std::string& ca,
                                                                           const std::string& crl);
  /// The system's own; loaded once.
  static std::shared_ptr<const TrustStore> system();

  TrustStore(const TrustStore&) = delete;
  TrustStore& operator=(const TrustStore&) = delete;
  ~TrustStore();

  /// The first of its certificates to end, and the first list to be out of date: from then on nobody is
  /// believed.
  WallTime not_after() const { return not_after_; }
  WallTime crl_next_update() const { return crl_next_update_; }
  /// Of all that it was made from.
  const std::array<unsigned char, 32>& digest() const { return digest_; }

  // For OpenSSL.
  x509_store_st* store() const { return store_; }
  /// Tells a client whose certificates are taken.
  const stack_st_X509_NAME* names() const { return names_; }

 private:
  TrustStore();
  std::expected<void, TrustError> add_ca(const std::string& pem);
  std::expected<void, TrustError> add_crl(const std::string& pem);

  x509_store_st* store_;
  stack_st_X509_NAME* names_;
  WallTime not_after_ = WallTime::max();
  WallTime crl_next_update_ = WallTime::max();
  std::array<unsigned char, 32> digest_{};
};

}  // namespace sluice::tls
