// An IP address with a port.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::io {

struct Address {
  bool ipv6 = false;
  uint16_t port = 0;                // host byte order
  std::array<uint8_t, 16> bytes{};  // network order; IPv4 uses the first four

  auto operator<=>(const Address&) const = default;

  /// "10.0.0.1", "::1", "[::1]": an address without a port.
  static std::optional<Address> parse_ip(std::string_view text, uint16_t port = 0);
  /// "0.0.0.0:8080", "[::]:8080".
  static std::optional<Address> parse(std::string_view text);
  static Address loopback(uint16_t port) { return {false, port, {127, 0, 0, 1}}; }

  /// An IPv4-mapped IPv6 address (RFC 4291, section 2.5.5.2) as IPv4, any other as it is.
  Address unmapped() const;
  /// An IPv4 address as IPv4-mapped IPv6.
  Address mapped() const;

  /// Without the port: "10.0.0.1", "::1". An IPv4-mapped IPv6 address is written as IPv4.
  std::string ip_text() const;
  /// With the port: "10.0.0.1:80", "[::1]:80".
  std::string text() const;
  /// Writes the ip_text into `out` (46 bytes suffice) and returns its length.
  size_t write_ip(char* out) const;
};

}  // namespace sluice::io
