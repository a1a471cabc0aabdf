// StickySessions: a cookie of the gateway's that brings a client back to the target that it had.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/arena.h"
#include "config/balancing.h"

namespace sluice::gateway {

/// Immutable. Its values are the same on every node and after every restart, and say nothing but which of the
/// targets is the same.
class StickySessions {
 public:
  StickySessions(const config::StickyBalance& configured, std::string_view upstream);

  const std::string& cookie() const { return cookie_; }
  /// What the cookie says of the target with this authority.
  std::string value_of(std::string_view authority) const;
  /// `Set-Cookie` (RFC 6265, section 4.1) with that value. `secure`: the client came over TLS.
  std::string_view set_cookie(std::string_view value, bool secure, Arena& arena) const;

 private:
  const std::string cookie_;
  std::string attributes_;
  const uint64_t seed_;
};

}  // namespace sluice::gateway
