// The keys of session tickets (RFC 5077, RFC 8446 section 4.6.1): shared by all workers, so that a client may
// resume with any of them; several nodes share them by a file.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace sluice::tls {

/// nginx's file format: 16 bytes of name, 32 of HMAC key, 32 of AES key.
struct TicketKey {
  static constexpr size_t kBytes = 80;
  std::array<unsigned char, 16> name;
  std::array<unsigned char, 32> hmac;
  std::array<unsigned char, 32> aes;
};

/// Newest first: it makes tickets, the others still open theirs.
using TicketKeyList = std::vector<TicketKey>;

/// Thread-safe. Asked once a handshake.
class TicketKeys {
 public:
  /// How long a key of our own makes tickets, and how many of those before it are kept: a ticket lives no
  /// longer than kLifetime.
  static constexpr Duration kRotation = std::chrono::hours(12);
  static constexpr size_t kKept = 2;
  static constexpr Duration kLifetime = std::chrono::hours(24);

  /// With one random key.
  TicketKeys();
  /// Of files, in place of our own.
  explicit TicketKeys(TicketKeyList keys) : keys_(std::make_shared<const TicketKeyList>(std::move(keys))) {}

  std::shared_ptr<const TicketKeyList> keys() const {
    std::lock_guard lock(mutex_);
    return keys_;
  }
  /// A new random key comes first; the oldest goes.
  void rotate();

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const TicketKeyList> keys_;
};

}  // namespace sluice::tls
