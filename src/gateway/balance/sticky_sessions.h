// StickySessions: a cookie of the gateway's that brings a client back to the target that it had.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/arena.h"
#include "config/balancing.h"

namespace sluice::gateway {

/// Immutable. Its values are the same on every node and after every restart, and say nothing but which of the
/// targets is the same.
class StickySessions {
 public:
  /// `authorities`: of the targets, by number.
  StickySessions(const config::StickyBalance& configured, std::string_view upstream,
                 const std::vector<std::string>& authorities);

  const std::string& cookie() const { return cookie_; }
  /// The number of the target that has this value; nothing: none has it any more.
  std::optional<uint16_t> target_of(std::string_view value) const;
  /// `Set-Cookie` (RFC 6265, section 4.1) for that target. `secure`: the client came over TLS.
  std::string_view set_cookie(uint16_t target, bool secure, Arena& arena) const;

 private:
  const std::string cookie_;
  std::string attributes_;
  std::vector<std::string> values_;
};

}  // namespace sluice::gateway
