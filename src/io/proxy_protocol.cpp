#include "io/proxy_protocol.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/ascii.h"

namespace sluice::io {

namespace {

using Problem = ProxyHeaderProblem;
using Parsed = std::expected<ProxyHeader, Problem>;

constexpr std::string_view kV1Begin = "PROXY ";
constexpr size_t kV1MaxBytes = 107;  // with the line's end (section 2.1)
constexpr std::string_view kV2Signature{"\r\n\r\n\0\r\nQUIT\n", 12};
constexpr size_t kV2FixedBytes = 16;

// Section 2.2.
constexpr uint8_t kV2Local = 0x20;
constexpr uint8_t kV2Proxy = 0x21;
constexpr uint8_t kUnspecified = 0x00;
constexpr uint8_t kTcp4 = 0x11;
constexpr uint8_t kTcp6 = 0x21;
constexpr uint8_t kUnixStream = 0x31;
constexpr size_t kTcp4Bytes = 12;
constexpr size_t kTcp6Bytes = 36;
constexpr size_t kUnixBytes = 216;
constexpr uint8_t kChecksum = 0x03;  // PP2_TYPE_CRC32C

std::unexpected<Problem> malformed() { return std::unexpected(Problem::kMalformed); }

// --- version 1

/// Up to the next space, which is taken too; nothing when there is none.
std::optional<std::string_view> take_word(std::string_view& line) {
  size_t space = line.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  std::string_view word = line.substr(0, space);
  line.remove_prefix(space + 1);
  return word;
}

/// Decimal without leading zeros.
std::optional<uint16_t> parse_port(std::string_view text) {
  if (text.empty() || text.size() > 5 || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  auto port = ascii::parse_decimal(text);
  if (!port || *port > 65535) return std::nullopt;
  return static_cast<uint16_t>(*port);
}

std::optional<Address> parse_v1_address(std::string_view text, bool ipv6) {
  if (text.starts_with('[')) return std::nullopt;
  auto address = Address::parse_ip(text);
  if (!address || address->ipv6 != ipv6) return std::nullopt;
  return address;
}

Parsed parse_v1(std::string_view bytes) {
  size_t end = bytes.substr(0, kV1MaxBytes).find('\n');
  if (end == std::string_view::npos) {
    if (bytes.size() >= kV1MaxBytes) return malformed();
    return std::unexpected(Problem::kIncomplete);
  }
  ProxyHeader header{.size = end + 1, .known = false, .source = {}, .destination = {}};
  std::string_view line = bytes.substr(0, end);
  if (!line.ends_with('\r')) return malformed();
  line.remove_suffix(1);
  line.remove_prefix(kV1Begin.size());
  if (line == "UNKNOWN" || line.starts_with("UNKNOWN ")) return header;
  bool ipv6 = line.starts_with("TCP6 ");
  if (!ipv6 && !line.starts_with("TCP4 ")) return malformed();
  line.remove_prefix(5);
  auto source = take_word(line);
  auto destination = take_word(line);
  auto source_port = take_word(line);
  if (!source || !destination || !source_port) return malformed();
  auto from = parse_v1_address(*source, ipv6);
  auto to = parse_v1_address(*destination, ipv6);
  auto from_port = parse_port(*source_port);
  auto to_port = parse_port(line);
  if (!from || !to || !from_port || !to_port) return malformed();
  header.known = true;
  header.source = *from;
  header.source.port = *from_port;
  header.destination = *to;
  header.destination.port = *to_port;
  return header;
}

// --- version 2

uint8_t byte_at(std::string_view bytes, size_t at) { return static_cast<uint8_t>(bytes[at]); }
uint16_t number_at(std::string_view bytes, size_t at) {
  return static_cast<uint16_t>(byte_at(bytes, at) << 8 | byte_at(bytes, at + 1));
}

/// CRC-32C (Castagnoli), reflected, as RFC 4960, appendix B has it.
uint32_t crc32c(std::string_view bytes) {
  uint32_t crc = ~0u;
  for (char c : bytes) {
    crc ^= static_cast<uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0u);
  }
  return ~crc;
}

/// Extensions (section 2.2.1) from `at` to the end of `header`: whole, and with the right checksum if there
/// is one.
bool extensions_fit(std::string_view header, size_t at) {
  while (at < header.size()) {
    if (header.size() - at < 3) return false;
    size_t length = number_at(header, at + 1);
    if (header.size() - at - 3 < length) return false;
    if (byte_at(header, at) == kChecksum) {
      if (length != 4) return false;
      std::string zeroed(header);
      std::fill_n(zeroed.begin() + static_cast<std::ptrdiff_t>(at) + 3, 4, '\0');
      uint32_t said = static_cast<uint32_t>(number_at(header, at + 3)) << 16 | number_at(header, at + 5);
      if (crc32c(zeroed) != said) return false;
    }
    at += 3 + length;
  }
  return true;
}

Address read_address(std::string_view bytes, size_t at, size_t port_at, bool ipv6) {
  Address address;
  address.ipv6 = ipv6;
  address.port = number_at(bytes, port_at);
  std::memcpy(address.bytes.data(), bytes.data() + at, ipv6 ? 16 : 4);
  return address;
}

Parsed parse_v2(std::string_view bytes) {
  if (bytes.size() < kV2FixedBytes) return std::unexpected(Problem::kIncomplete);
  uint8_t command = byte_at(bytes, 12);
  uint8_t family = byte_at(bytes, 13);
  size_t length = number_at(bytes, 14);
  if (command != kV2Local && command != kV2Proxy) return malformed();
  size_t size = kV2FixedBytes + length;
  if (size > kMaxProxyHeaderBytes) return malformed();
  size_t addresses = 0;
  if (family == kTcp4) addresses = kTcp4Bytes;
  if (family == kTcp6) addresses = kTcp6Bytes;
  if (family == kUnixStream) addresses = kUnixBytes;
  // For itself a proxy may say anything; for a client only what such a connection can have.
  if (command == kV2Proxy && addresses == 0 && family != kUnspecified) return malformed();
  if (addresses > length) return malformed();
  if (bytes.size() < size) return std::unexpected(Problem::kIncomplete);

  std::string_view whole = bytes.substr(0, size);
  ProxyHeader header{.size = size, .known = false, .source = {}, .destination = {}};
  if (command == kV2Local || family == kUnspecified) return header;  // the rest is to be skipped
  if (!extensions_fit(whole, kV2FixedBytes + addresses)) return malformed();
  if (family == kUnixStream) return header;
  header.known = true;
  bool ipv6 = family == kTcp6;
  size_t each = ipv6 ? 16 : 4;
  size_t ports = kV2FixedBytes + 2 * each;
  header.source = read_address(whole, kV2FixedBytes, ports, ipv6);
  header.destination = read_address(whole, kV2FixedBytes + each, ports + 2, ipv6);
  return header;
}

// --- writing

void append_number(std::string& to, uint16_t number) {
  to += static_cast<char>(number >> 8);
  to += static_cast<char>(number & 0xff);
}

/// An IPv4-mapped address would be written as IPv4.
std::string v1_text(const Address& address) {
  std::string text = address.ip_text();
  return address.ipv6 && !text.contains(':') ? "::ffff:" + text : text;
}

std::string write_v1(const Address& source, const Address& destination) {
  std::string header(kV1Begin);
  header += source.ipv6 ? "TCP6 " : "TCP4 ";
  header += v1_text(source) + " " + v1_text(destination) + " ";
  header += std::to_string(source.port) + " " + std::to_string(destination.port) + "\r\n";
  return header;
}

std::string write_v2(const Address& source, const Address& destination) {
  std::string header(kV2Signature);
  header += static_cast<char>(kV2Proxy);
  header += static_cast<char>(source.ipv6 ? kTcp6 : kTcp4);
  append_number(header, source.ipv6 ? kTcp6Bytes : kTcp4Bytes);
  size_t each = source.ipv6 ? 16 : 4;
  for (const Address* address : {&source, &destination})
    header.append(reinterpret_cast<const char*>(address->bytes.data()), each);
  append_number(header, source.port);
  append_number(header, destination.port);
  return header;
}

}  // namespace

Parsed parse_proxy_header(std::string_view bytes) {
  size_t seen = std::min(bytes.size(), kV2Signature.size());
  if (bytes.substr(0, seen) == kV2Signature.substr(0, seen)) return parse_v2(bytes);
  seen = std::min(bytes.size(), kV1Begin.size());
  if (bytes.substr(0, seen) != kV1Begin.substr(0, seen)) return malformed();
  return parse_v1(bytes);
}

std::string write_proxy_header(ProxyVersion version, const Address& source, const Address& destination) {
  Address from = source.unmapped();
  Address to = destination.unmapped();
  // Both are of one family where one connection has them; what an earlier proxy said may mix them.
  if (from.ipv6 != to.ipv6) {
    from = from.mapped();
    to = to.mapped();
  }
  return version == ProxyVersion::kV1 ? write_v1(from, to) : write_v2(from, to);
}

}  // namespace sluice::io
