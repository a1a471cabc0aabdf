// What proves to a CA that a name is ours, while it looks: answers over HTTP (RFC 8555, section 8.3) and
// certificates for a handshake (RFC 8737).
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "tls/challenge_certificates.h"

namespace sluice::gateway::acme {

/// Key authorizations by token: set on the main loop, asked for on all.
class HttpChallenges {
 public:
  void set(const std::string& token, std::string key_authorization) {
    std::lock_guard lock(mutex_);
    by_token_[token] = std::move(key_authorization);
    pending_.store(true, std::memory_order_relaxed);
  }
  void remove(const std::string& token) {
    std::lock_guard lock(mutex_);
    by_token_.erase(token);
    pending_.store(!by_token_.empty(), std::memory_order_relaxed);
  }

  /// Almost always false: only then is a lock taken.
  bool pending() const { return pending_.load(std::memory_order_relaxed); }
  std::optional<std::string> find(const std::string& token) const {
    std::lock_guard lock(mutex_);
    auto found = by_token_.find(token);
    return found == by_token_.end() ? std::nullopt : std::optional(found->second);
  }

 private:
  std::atomic<bool> pending_ = false;
  mutable std::mutex mutex_;
  std::map<std::string, std::string> by_token_;
};

struct Challenges {
  HttpChallenges http;
  std::shared_ptr<tls::ChallengeCertificates> certificates = std::make_shared<tls::ChallengeCertificates>();
};

}  // namespace sluice::gateway::acme
