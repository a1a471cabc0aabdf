// The certificates that a CA is to see while it looks whether a name is ours (RFC 8737).
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "tls/certificate.h"

namespace sluice::tls {

/// What ALPN settles in such a handshake, after which nothing is said.
inline constexpr std::string_view kChallengeProtocol = "acme-tls/1";

/// One for the process: set on the main loop, looked up during handshakes on all.
class ChallengeCertificates {
 public:
  /// `name` in lower case.
  void set(const std::string& name, std::shared_ptr<const Certificate> certificate) {
    std::lock_guard lock(mutex_);
    by_name_[name] = std::move(certificate);
    pending_.store(true, std::memory_order_relaxed);
  }
  void remove(const std::string& name) {
    std::lock_guard lock(mutex_);
    by_name_.erase(name);
    pending_.store(!by_name_.empty(), std::memory_order_relaxed);
  }

  /// Almost always false: only then is a lock taken.
  bool pending() const { return pending_.load(std::memory_order_relaxed); }
  /// Null: there is none.
  std::shared_ptr<const Certificate> find(const std::string& name) const {
    std::lock_guard lock(mutex_);
    auto found = by_name_.find(name);
    return found == by_name_.end() ? nullptr : found->second;
  }

 private:
  std::atomic<bool> pending_ = false;
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<const Certificate>> by_name_;
};

}  // namespace sluice::tls
