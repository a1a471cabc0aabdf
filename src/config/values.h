// The scalar types of the configuration beyond numbers and strings: durations, sizes, rates, addresses,
// targets. Each is parsed from its text with a message that says what is expected, and written back to the
// same text.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "base/calendar.h"
#include "base/time.h"

namespace sluice::config {

/// Why a text is not a value: a sentence without the text itself, which may be secret.
template <class T>
using Parsed = std::expected<T, std::string>;

/// `0s`, `150ms`, `2s`, `5m`, `1h`, `1d`, `1h30m`. At most 100 years.
Parsed<Duration> parse_duration(std::string_view text);
std::string to_text(Duration duration);

/// `512`, `64KiB`, `1MiB`, `2GiB`; `KB`, `MB` and `GB` are powers of ten.
struct ByteSize {
  uint64_t bytes = 0;
  friend auto operator<=>(const ByteSize&, const ByteSize&) = default;
};
Parsed<ByteSize> parse_byte_size(std::string_view text);
std::string to_text(ByteSize size);
constexpr ByteSize kibibytes(uint64_t n) { return {n << 10}; }
constexpr ByteSize mebibytes(uint64_t n) { return {n << 20}; }

/// So many in a period: `100/1m`.
struct Rate {
  uint64_t count = 0;
  Duration period{0};
  friend bool operator==(const Rate&, const Rate&) = default;
};
Parsed<Rate> parse_rate(std::string_view text);
std::string to_text(const Rate& rate);

/// So many in a calendar period: `1000/day`; the unit is `hour`, `day`, `week` or `month`.
struct Quota {
  uint64_t count = 0;
  CalendarUnit unit = CalendarUnit::kDay;
  friend bool operator==(const Quota&, const Quota&) = default;
};
Parsed<Quota> parse_quota(std::string_view text);
std::string to_text(const Quota& quota);
std::string_view unit_text(CalendarUnit unit);

/// Statuses of HTTP, `200` or `200-299`.
struct StatusRange {
  uint16_t first = 200;
  uint16_t last = 299;
  bool contains(int status) const { return status >= first && status <= last; }
  friend bool operator==(const StatusRange&, const StatusRange&) = default;
};
Parsed<StatusRange> parse_status_range(std::string_view text);
std::string to_text(const StatusRange& range);

/// A share, `50%` or `12.5%`; may be more than the whole.
struct Percent {
  double share = 0;  // 0.5
  friend bool operator==(const Percent&, const Percent&) = default;
};
Parsed<Percent> parse_percent(std::string_view text);
std::string to_text(Percent percent);

/// An IPv4 address as `::ffff:a.b.c.d` or an IPv6 address, in network order.
using IpBytes = std::array<uint8_t, 16>;
Parsed<IpBytes> parse_ip(std::string_view text);

/// Where to listen: an IP address and a port, `0.0.0.0:8080` or `[::1]:8080`. Port 0: any free one.
struct Address {
  std::string host;  // without brackets
  uint16_t port = 0;
  friend bool operator==(const Address&, const Address&) = default;
};
Parsed<Address> parse_address(std::string_view text);
std::string to_text(const Address& address);

/// A network, `10.0.0.0/8` or a single address.
struct IpPrefix {
  IpBytes bytes{};
  uint8_t length = 0;  // bits of the 16 bytes that count; an IPv4 /8 is 104
  bool ipv4 = false;

  bool contains(const IpBytes& address) const;
  friend bool operator==(const IpPrefix&, const IpPrefix&) = default;
};
Parsed<IpPrefix> parse_ip_prefix(std::string_view text);
std::string to_text(const IpPrefix& prefix);

/// What a target speaks: HTTP, or whatever a stream carries.
enum class TargetScheme : uint8_t { kHttp, kHttps, kTcp, kUdp };
std::string_view scheme_text(TargetScheme scheme);

/// Where an upstream's server is: `http://host[:port][/base/path]`, `tcp://host:port` or `udp://host:port`;
/// or, as `http+srv://name`, under which name DNS says where its servers are (SRV records, RFC 2782).
struct TargetUrl {
  std::string host;  // a name in lower case, or an IP address without brackets
  uint16_t port = 80;
  std::string base_path;  // empty, or "/x/y" without a slash at its end
  TargetScheme scheme = TargetScheme::kHttp;
  bool service = false;  // `host` is the name of a service; its ports come from DNS
  bool tls() const { return scheme == TargetScheme::kHttps; }
  friend bool operator==(const TargetUrl&, const TargetUrl&) = default;
};
Parsed<TargetUrl> parse_target_url(std::string_view text);
std::string to_text(const TargetUrl& url);
/// "host:port", with brackets around IPv6: the identity of a target and its `Host`.
std::string authority(const TargetUrl& url);

}  // namespace sluice::config
