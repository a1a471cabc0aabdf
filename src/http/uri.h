// The parts of a URI that the gateway meets outside a request's path: `host[:port]` and the URL of a target.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string_view>

#include "base/arena.h"

namespace sluice::http {

/// `host[:port]`, views of what was parsed.
struct Authority {
  enum class Kind : uint8_t { kName, kIpv4, kIpv6 };
  Kind kind = Kind::kName;
  std::string_view host;         // an IPv6 address without its brackets
  std::optional<uint16_t> port;  // not there in "host" and "host:"
};

/// nullopt unless it is a name of letters, digits, "-", ".", "_" and "~", an IPv4 address or an IPv6 address
/// in brackets, with at most a port of 1 to 65535. Narrower than RFC 3986, section 3.2.2: escapes and
/// sub-delims, which no DNS name has and which readers take differently, are refused, as is user information.
std::optional<Authority> parse_authority(std::string_view text);

/// The same text in lower case and without a ":" that no port follows; a view of `text` when it is that
/// already. `text` is one that parse_authority accepts.
std::string_view normalise_authority(std::string_view text, Arena& arena);

/// The host of an authority that parse_authority accepts, an IPv6 address with its brackets: without the
/// port.
std::string_view host_of(std::string_view authority);

/// `http[s]://host[:port][/base]`.
struct TargetUrl {
  bool tls = false;
  std::string_view authority;  // host[:port] as written
  std::string_view host;       // without brackets
  Authority::Kind host_kind = Authority::Kind::kName;
  uint16_t port = 80;          // as written, else 80 or 443
  std::string_view base_path;  // without a slash at its end; empty for "/" and none
};

/// The error says what is wrong, for a diagnostic.
std::expected<TargetUrl, std::string_view> parse_target_url(std::string_view url);

}  // namespace sluice::http
