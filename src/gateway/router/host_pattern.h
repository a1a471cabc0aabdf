// A configured host: an exact name, or `*.` and a suffix of whole labels. Inner header of this folder.
#pragma once

#include <expected>
#include <string>
#include <string_view>

namespace sluice::gateway {

struct HostPattern {
  bool wildcard = false;  // `*.`: any labels, at least one, before `name`
  std::string name;       // lower case, without `*.` and without a dot at the end
};

/// The error is the end of a sentence that starts with the host.
std::expected<HostPattern, std::string_view> parse_host_pattern(std::string_view text);

/// A name written with the dot of the DNS root is the same name (RFC 3986, section 3.2.2).
inline std::string_view without_root_dot(std::string_view host) {
  if (host.ends_with('.')) host.remove_suffix(1);
  return host;
}

}  // namespace sluice::gateway
