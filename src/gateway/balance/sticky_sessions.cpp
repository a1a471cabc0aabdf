#include "gateway/balance/sticky_sessions.h"

#include <fmt/format.h>

#include "base/hash.h"

namespace sluice::gateway {

StickySessions::StickySessions(const config::StickyBalance& configured, std::string_view upstream)
    : cookie_(configured.cookie),
      attributes_("; Path=" + configured.path + "; HttpOnly; SameSite=Lax"),
      seed_(hash64(upstream)) {
  if (configured.ttl) {
    auto seconds = std::chrono::duration_cast<std::chrono::seconds>(*configured.ttl).count();
    attributes_ += fmt::format("; Max-Age={}", seconds);
  }
}

std::string StickySessions::value_of(std::string_view authority) const {
  return fmt::format("{:016x}", mix64(hash64(authority, seed_)));
}

std::string_view StickySessions::set_cookie(std::string_view value, bool secure, Arena& arena) const {
  return arena.concat(cookie_, "=", value, attributes_, secure ? "; Secure" : "");
}

}  // namespace sluice::gateway
