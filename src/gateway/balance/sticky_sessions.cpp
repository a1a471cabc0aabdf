#include "gateway/balance/sticky_sessions.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/hash.h"

namespace sluice::gateway {

StickySessions::StickySessions(const config::StickyBalance& configured, std::string_view upstream,
                               const std::vector<std::string>& authorities)
    : cookie_(configured.cookie), attributes_("; Path=" + configured.path + "; HttpOnly; SameSite=Lax") {
  if (configured.ttl) {
    auto seconds = std::chrono::duration_cast<std::chrono::seconds>(*configured.ttl).count();
    attributes_ += fmt::format("; Max-Age={}", seconds);
  }
  uint64_t seed = hash64(upstream);
  for (const std::string& authority : authorities)
    values_.push_back(fmt::format("{:016x}", mix64(hash64(authority, seed))));
}

std::optional<uint16_t> StickySessions::target_of(std::string_view value) const {
  auto found = std::ranges::find(values_, value);
  if (found == values_.end()) return std::nullopt;
  return static_cast<uint16_t>(found - values_.begin());
}

std::string_view StickySessions::set_cookie(uint16_t target, bool secure, Arena& arena) const {
  return arena.concat(cookie_, "=", values_[target], attributes_, secure ? "; Secure" : "");
}

}  // namespace sluice::gateway
