#include "io/address.h"

#include <arpa/inet.h>

#include <cstring>

#include "base/ascii.h"

namespace sluice::io {

namespace {
constexpr uint8_t kMappedPrefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
}

std::optional<Address> Address::parse_ip(std::string_view text, uint16_t port) {
  if (text.size() >= 2 && text.front() == '[' && text.back() == ']') text = text.substr(1, text.size() - 2);
  char buffer[INET6_ADDRSTRLEN + 1];
  if (text.empty() || text.size() >= sizeof buffer || text.contains('\0')) return std::nullopt;
  std::memcpy(buffer, text.data(), text.size());
  buffer[text.size()] = 0;
  Address address;
  address.port = port;
  if (inet_pton(AF_INET, buffer, address.bytes.data()) == 1) return address;
  if (inet_pton(AF_INET6, buffer, address.bytes.data()) != 1) return std::nullopt;
  address.ipv6 = true;
  return address;
}

std::optional<Address> Address::parse(std::string_view text) {
  size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  if (host.find(':') != std::string_view::npos && host.front() != '[') return std::nullopt;
  auto port = ascii::parse_decimal(text.substr(colon + 1));
  if (!port || *port > 65535) return std::nullopt;
  return parse_ip(host, static_cast<uint16_t>(*port));
}

Address Address::unmapped() const {
  if (!ipv6 || std::memcmp(bytes.data(), kMappedPrefix, sizeof kMappedPrefix) != 0) return *this;
  Address address{.ipv6 = false, .port = port, .bytes = {}};
  std::memcpy(address.bytes.data(), bytes.data() + sizeof kMappedPrefix, 4);
  return address;
}

Address Address::mapped() const {
  if (ipv6) return *this;
  Address address{.ipv6 = true, .port = port, .bytes = {}};
  std::memcpy(address.bytes.data(), kMappedPrefix, sizeof kMappedPrefix);
  std::memcpy(address.bytes.data() + sizeof kMappedPrefix, bytes.data(), 4);
  return address;
}

size_t Address::write_ip(char* out) const {
  const uint8_t* v4 = bytes.data();
  if (ipv6) {
    if (std::memcmp(bytes.data(), kMappedPrefix, sizeof kMappedPrefix) != 0) {
      inet_ntop(AF_INET6, bytes.data(), out, INET6_ADDRSTRLEN);
      return std::strlen(out);
    }
    v4 += sizeof kMappedPrefix;
  }
  char* at = out;
  for (int i = 0; i < 4; ++i) {
    if (i) *at++ = '.';
    unsigned value = v4[i];
    if (value >= 100) *at++ = static_cast<char>('0' + value / 100);
    if (value >= 10) *at++ = static_cast<char>('0' + value / 10 % 10);
    *at++ = static_cast<char>('0' + value % 10);
  }
  return static_cast<size_t>(at - out);
}

std::string Address::ip_text() const {
  char buffer[INET6_ADDRSTRLEN];
  return std::string(buffer, write_ip(buffer));
}

std::string Address::text() const {
  std::string ip = ip_text();
  bool bracket = ip.find(':') != std::string::npos;
  return (bracket ? "[" + ip + "]" : ip) + ":" + std::to_string(port);
}

}  // namespace sluice::io
