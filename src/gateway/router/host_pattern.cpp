#include "gateway/router/host_pattern.h"

#include "base/ascii.h"
#include "gateway/router/route_spec.h"

namespace sluice::gateway {

std::expected<HostPattern, std::string_view> parse_host_pattern(std::string_view text) {
  HostPattern pattern;
  if (text.starts_with("*.")) {
    pattern.wildcard = true;
    text.remove_prefix(2);
  }
  text = without_root_dot(text);
  if (text.empty()) return std::unexpected("is empty; an API for any host has no hosts");
  if (text.size() > kMaxHostBytes) return std::unexpected("is too long");
  if (text.find('*') != std::string_view::npos)
    return std::unexpected("has a '*' that is not its whole first label");
  bool ip_literal = text.front() == '[' && text.back() == ']' && !pattern.wildcard;
  if (!ip_literal && text.find_first_of(":[]") != std::string_view::npos)
    return std::unexpected("is not a name alone; hosts are matched without their port");
  if (text.front() == '.' || text.find("..") != std::string_view::npos)
    return std::unexpected("has an empty label");
  for (char c : text)
    if (static_cast<unsigned char>(c - '!') > '~' - '!' || c == '/' || c == '@' || c == '?' || c == '#')
      return std::unexpected("has a character that no host has");
  pattern.name = ascii::to_lower(text);
  return pattern;
}

}  // namespace sluice::gateway
