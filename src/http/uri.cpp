#include "http/uri.h"

#include <arpa/inet.h>

#include "base/ascii.h"

namespace sluice::http {
namespace {

enum Class : uint8_t { kOther, kLower, kUpper };
constexpr std::array<uint8_t, 256> kHostClasses = [] {
  std::array<uint8_t, 256> table{};
  for (char c = 'a'; c <= 'z'; ++c) {
    table[static_cast<uint8_t>(c)] = kLower;
    table[static_cast<uint8_t>(c - 32)] = kUpper;
  }
  for (char c : std::string_view("0123456789-._~")) table[static_cast<uint8_t>(c)] = kLower;
  return table;
}();
constexpr size_t kLongestHost = 253;    // RFC 1035, section 2.3.4, as text
constexpr size_t kLongestAddress = 45;  // of IPv6 with a dotted IPv4 part

template <class Address>
bool is_address(int family, std::string_view text) {
  char copy[kLongestAddress + 1];
  if (text.size() > kLongestAddress) return false;
  std::memcpy(copy, text.data(), text.size());
  copy[text.size()] = 0;
  Address parsed;
  return inet_pton(family, copy, &parsed) == 1;
}

/// Digits that make 1 to 65535.
std::optional<uint16_t> parse_port(std::string_view digits) {
  if (digits.size() > 5) return std::nullopt;
  std::optional<uint64_t> port = ascii::parse_decimal(digits);
  if (!port || *port == 0 || *port > UINT16_MAX) return std::nullopt;
  return static_cast<uint16_t>(*port);
}

/// The end of the host at the start of `text`, or 0.
size_t host_end(std::string_view text) {
  size_t end = 0;
  bool after_dot = true;  // an empty label is no name; one dot at the end is
  for (; end < text.size() && kHostClasses[static_cast<uint8_t>(text[end])] != kOther; ++end) {
    bool dot = text[end] == '.';
    if (dot && after_dot) return 0;
    after_dot = dot;
  }
  return end <= kLongestHost + 1 ? end : 0;
}

}  // namespace

std::optional<Authority> parse_authority(std::string_view text) {
  Authority authority;
  std::string_view rest;
  if (text.starts_with('[')) {
    size_t close = text.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    authority.kind = Authority::Kind::kIpv6;
    authority.host = text.substr(1, close - 1);
    if (!is_address<in6_addr>(AF_INET6, authority.host)) return std::nullopt;
    rest = text.substr(close + 1);
  } else {
    size_t end = host_end(text);
    if (end == 0) return std::nullopt;
    authority.host = text.substr(0, end);
    if (ascii::is_digit(authority.host.back()) && is_address<in_addr>(AF_INET, authority.host))
      authority.kind = Authority::Kind::kIpv4;
    rest = text.substr(end);
  }
  if (rest.empty() || rest == ":") return authority;
  if (rest.front() != ':') return std::nullopt;
  authority.port = parse_port(rest.substr(1));
  if (!authority.port) return std::nullopt;
  return authority;
}

std::string_view normalise_authority(std::string_view text, Arena& arena) {
  if (text.ends_with(':')) text.remove_suffix(1);
  bool has_upper = false;
  for (char c : text) has_upper |= kHostClasses[static_cast<uint8_t>(c)] == kUpper;
  if (!has_upper) return text;
  char* lower = arena.allocate_chars(text.size());
  for (size_t i = 0; i < text.size(); ++i) lower[i] = ascii::lower(text[i]);
  return {lower, text.size()};
}

std::expected<TargetUrl, std::string_view> parse_target_url(std::string_view url) {
  TargetUrl target;
  std::string_view rest;
  if (url.starts_with("http://")) {
    rest = url.substr(7);
  } else if (url.starts_with("https://")) {
    rest = url.substr(8);
    target.tls = true;
    target.port = 443;
  } else {
    return std::unexpected(std::string_view("a target starts with http:// or https://"));
  }
  for (char c : rest)
    if (static_cast<uint8_t>(c) <= 0x20 || static_cast<uint8_t>(c) >= 0x7f || c == '\\')
      return std::unexpected(
          std::string_view("a target has no spaces, controls, backslashes or non-ASCII characters"));
  if (rest.find_first_of("?#") != std::string_view::npos)
    return std::unexpected(std::string_view("a target has no query and no fragment"));
  size_t end = std::min(rest.find('/'), rest.size());
  target.authority = rest.substr(0, end);
  if (target.authority.find('@') != std::string_view::npos)
    return std::unexpected(std::string_view("a target has no user information"));
  std::optional<Authority> authority = parse_authority(target.authority);
  if (!authority) return std::unexpected(std::string_view("the host or the port is not valid"));
  target.host = authority->host;
  target.host_kind = authority->kind;
  if (authority->port) target.port = *authority->port;
  target.base_path = rest.substr(end);
  while (target.base_path.ends_with('/')) target.base_path.remove_suffix(1);
  return target;
}

std::string_view host_of(std::string_view authority) {
  const void* last = authority.empty() ? nullptr : memrchr(authority.data(), ':', authority.size());
  if (!last) return authority;
  auto colon = static_cast<size_t>(static_cast<const char*>(last) - authority.data());
  return authority.find(']', colon) == std::string_view::npos ? authority.substr(0, colon) : authority;
}

}  // namespace sluice::http
