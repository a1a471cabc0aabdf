#include "config/values.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include "base/ascii.h"

namespace sluice::config {

namespace {

constexpr Duration kLongest = std::chrono::hours(24) * 36500;

/// An empty reason: the text has not even the right form, and what is expected says enough.
std::unexpected<std::string> malformed() { return std::unexpected(std::string()); }
std::unexpected<std::string> because(std::string reason) { return std::unexpected(std::move(reason)); }

struct Unit {
  std::string_view text;
  uint64_t factor;
};
// The largest first, as texts are written with the largest that divides.
constexpr Unit kDurationUnits[] = {{"d", 86'400'000'000'000},
                                   {"h", 3'600'000'000'000},
                                   {"m", 60'000'000'000},
                                   {"s", 1'000'000'000},
                                   {"ms", 1'000'000},
                                   {"us", 1'000},
                                   {"ns", 1}};
constexpr Unit kSizeUnits[] = {{"TiB", 1ULL << 40},
                               {"GiB", 1ULL << 30},
                               {"MiB", 1ULL << 20},
                               {"KiB", 1ULL << 10},
                               {"B", 1},
                               {"TB", 1'000'000'000'000},
                               {"GB", 1'000'000'000},
                               {"MB", 1'000'000},
                               {"KB", 1'000},
                               {"kB", 1'000}};

template <size_t N>
const Unit* find_unit(const Unit (&units)[N], std::string_view text) {
  auto found = std::ranges::find(units, text, &Unit::text);
  return found == std::end(units) ? nullptr : found;
}

/// Takes the digits at the front.
std::string_view take_digits(std::string_view& text) {
  size_t count = 0;
  while (count < text.size() && ascii::is_digit(text[count])) ++count;
  std::string_view digits = text.substr(0, count);
  text.remove_prefix(count);
  return digits;
}

std::optional<uint16_t> parse_port(std::string_view text) {
  if (text.empty() || text.size() > 5) return std::nullopt;
  auto value = ascii::parse_decimal(text);
  if (!value || *value > 65535) return std::nullopt;
  return static_cast<uint16_t>(*value);
}

bool is_ipv4_mapped(const IpBytes& bytes) {
  static constexpr uint8_t kPrefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return std::equal(std::begin(kPrefix), std::end(kPrefix), bytes.begin());
}

std::string ip_text(const IpBytes& bytes, bool ipv4) {
  char text[INET6_ADDRSTRLEN] = {};
  inet_ntop(ipv4 ? AF_INET : AF_INET6, bytes.data() + (ipv4 ? 12 : 0), text, sizeof text);
  return text;
}

bool is_host_character(char c) {
  return ascii::is_alpha(c) || ascii::is_digit(c) || c == '-' || c == '.' || c == '_';
}

}  // namespace

Parsed<Duration> parse_duration(std::string_view text) {
  if (text.empty()) return malformed();
  uint64_t total = 0;
  while (!text.empty()) {
    const std::string_view digits = take_digits(text);
    size_t letters = 0;
    while (letters < text.size() && ascii::is_alpha(text[letters])) ++letters;
    const Unit* unit = find_unit(kDurationUnits, text.substr(0, letters));
    if (digits.empty()) return malformed();
    if (!unit) {
      if (letters == 0 && text.empty()) return because("a duration needs a unit: ns, us, ms, s, m, h or d");
      return malformed();
    }
    text.remove_prefix(letters);
    const auto count = ascii::parse_decimal(digits);
    const auto room = static_cast<uint64_t>(kLongest.count()) - total;
    if (!count || *count > room / unit->factor) return because("a duration is at most 100 years");
    total += *count * unit->factor;
  }
  return Duration(static_cast<int64_t>(total));
}

std::string to_text(Duration duration) {
  const auto count = static_cast<uint64_t>(duration.count());
  if (count == 0) return "0s";
  for (const Unit& unit : kDurationUnits)
    if (count % unit.factor == 0) return std::to_string(count / unit.factor) + std::string(unit.text);
  return {};
}

Parsed<ByteSize> parse_byte_size(std::string_view text) {
  const std::string_view digits = take_digits(text);
  const Unit* unit = find_unit(kSizeUnits, text.empty() ? "B" : text);
  if (digits.empty() || !unit) return malformed();
  const auto count = ascii::parse_decimal(digits);
  if (!count || *count > (UINT64_MAX >> 1) / unit->factor) return because("a size is less than 8 EiB");
  return ByteSize{*count * unit->factor};
}

std::string to_text(ByteSize size) {
  if (size.bytes == 0) return "0";
  for (const Unit& unit : kSizeUnits)
    if (unit.factor > 1 && size.bytes % unit.factor == 0)
      return std::to_string(size.bytes / unit.factor) + std::string(unit.text);
    else if (unit.factor == 1)
      break;
  return std::to_string(size.bytes);
}

Parsed<Rate> parse_rate(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == text.npos) return malformed();
  const auto count = ascii::parse_decimal(text.substr(0, slash));
  if (!count) return malformed();
  auto period = parse_duration(text.substr(slash + 1));
  if (!period) return std::unexpected(period.error());
  if (*count == 0) return because("a rate of nothing refuses everything; the count is at least 1");
  if (*period < std::chrono::milliseconds(1)) return because("the period of a rate is at least `1ms`");
  return Rate{*count, *period};
}

std::string_view unit_text(CalendarUnit unit) {
  switch (unit) {
    case CalendarUnit::kHour:
      return "hour";
    case CalendarUnit::kDay:
      return "day";
    case CalendarUnit::kWeek:
      return "week";
    case CalendarUnit::kMonth:
      return "month";
  }
  return {};
}

Parsed<Quota> parse_quota(std::string_view text) {
  constexpr uint64_t kMostCount = 100'000'000'000'000;
  size_t slash = text.find('/');
  if (slash == text.npos) return malformed();
  auto count = ascii::parse_decimal(text.substr(0, slash));
  if (!count) return malformed();
  if (*count == 0) return because("a quota of nothing refuses everything; the count is at least 1");
  if (*count > kMostCount) return because("the count of a quota is at most 100000000000000");
  for (auto unit : {CalendarUnit::kHour, CalendarUnit::kDay, CalendarUnit::kWeek, CalendarUnit::kMonth})
    if (text.substr(slash + 1) == unit_text(unit)) return Quota{*count, unit};
  return because("a quota is by `hour`, `day`, `week` or `month`");
}

std::string to_text(const Quota& quota) {
  return std::to_string(quota.count) + "/" + std::string(unit_text(quota.unit));
}

Parsed<StatusRange> parse_status_range(std::string_view text) {
  size_t dash = text.find('-');
  auto first = ascii::parse_decimal(text.substr(0, dash));
  auto last = dash == text.npos ? first : ascii::parse_decimal(text.substr(dash + 1));
  if (!first || !last || *first < 100 || *last > 599) return malformed();
  if (*first > *last) return because("expected the smaller status first");
  return StatusRange{static_cast<uint16_t>(*first), static_cast<uint16_t>(*last)};
}

std::string to_text(const StatusRange& range) {
  std::string text = std::to_string(range.first);
  if (range.last != range.first) text += "-" + std::to_string(range.last);
  return text;
}

Parsed<Percent> parse_percent(std::string_view text) {
  if (!text.ends_with('%') || text.size() > 12) return std::unexpected(std::string());
  text.remove_suffix(1);
  size_t point = text.find('.');
  auto whole = ascii::parse_decimal(text.substr(0, point));
  if (!whole || *whole > 100'000) return std::unexpected(std::string());
  double value = static_cast<double>(*whole);
  if (point != std::string_view::npos) {
    std::string_view digits = text.substr(point + 1);
    auto fraction = ascii::parse_decimal(digits);
    if (!fraction) return std::unexpected(std::string());
    double part = static_cast<double>(*fraction);
    for (size_t i = 0; i < digits.size(); ++i) part /= 10;
    value += part;
  }
  return Percent{value / 100};
}

std::string to_text(Percent percent) { return fmt::format("{:.6g}%", percent.share * 100); }

std::string to_text(const Rate& rate) { return std::to_string(rate.count) + "/" + to_text(rate.period); }

Parsed<IpBytes> parse_ip(std::string_view text) {
  const std::string copy(text);
  IpBytes bytes{};
  if (copy.find('\0') != copy.npos) return malformed();
  if (inet_pton(AF_INET6, copy.c_str(), bytes.data()) == 1) return bytes;
  bytes = {};
  bytes[10] = bytes[11] = 0xff;
  if (inet_pton(AF_INET, copy.c_str(), bytes.data() + 12) == 1) return bytes;
  return malformed();
}

Parsed<Address> parse_address(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == text.npos) return malformed();
  const auto port = parse_port(text.substr(colon + 1));
  if (!port) return because("the port is missing or not a number up to 65535");
  std::string_view host = text.substr(0, colon);
  const bool brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (brackets) host = host.substr(1, host.size() - 2);
  if (!parse_ip(host))
    return because("the host must be an IP address such as `0.0.0.0`, `127.0.0.1` or `[::]`");
  const bool ipv6 = host.find(':') != host.npos;
  if (ipv6 != brackets) return malformed();
  return Address{std::string(host), *port};
}

std::string to_text(const Address& address) {
  const bool ipv6 = address.host.find(':') != std::string::npos;
  return (ipv6 ? "[" + address.host + "]" : address.host) + ":" + std::to_string(address.port);
}

bool IpPrefix::contains(const IpBytes& address) const {
  const size_t whole = length / 8;
  if (std::memcmp(bytes.data(), address.data(), whole) != 0) return false;
  const unsigned rest = length % 8;
  return rest == 0 || ((bytes[whole] ^ address[whole]) >> (8 - rest)) == 0;
}

Parsed<IpPrefix> parse_ip_prefix(std::string_view text) {
  const auto slash = text.find('/');
  const std::string_view address = text.substr(0, slash);
  auto bytes = parse_ip(address);
  if (!bytes) return malformed();
  IpPrefix prefix;
  prefix.bytes = *bytes;
  prefix.ipv4 = address.find(':') == address.npos;
  const uint64_t most = prefix.ipv4 ? 32 : 128;
  uint64_t length = most;
  if (slash != text.npos) {
    auto given = ascii::parse_decimal(text.substr(slash + 1));
    if (!given || *given > most)
      return because("the length of this network's prefix is a number up to " + std::to_string(most));
    length = *given;
  }
  prefix.length = static_cast<uint8_t>(length + (prefix.ipv4 ? 96 : 0));
  IpBytes network = prefix.bytes;
  for (size_t bit = prefix.length; bit < 128; ++bit)
    network[bit / 8] &= static_cast<uint8_t>(~(0x80 >> bit % 8));
  if (network != prefix.bytes) {
    return because("the address has bits behind the prefix; did you mean `" + ip_text(network, prefix.ipv4) +
                   "/" + std::to_string(length) + "`?");
  }
  // `::ffff:0:0/96` and longer are IPv4 in another spelling; shorter ones reach beyond it.
  if (!prefix.ipv4 && is_ipv4_mapped(prefix.bytes) && prefix.length >= 96) prefix.ipv4 = true;
  return prefix;
}

std::string to_text(const IpPrefix& prefix) {
  const unsigned length = prefix.ipv4 ? prefix.length - 96u : prefix.length;
  return ip_text(prefix.bytes, prefix.ipv4) + "/" + std::to_string(length);
}

namespace {

/// Behind a scheme: targets are what DNS says of the service.
constexpr std::string_view kServiceMark = "+srv";

}  // namespace

Parsed<TargetUrl> parse_target_url(std::string_view text) {
  TargetUrl url;
  const auto take_scheme = [&](TargetScheme scheme) {
    const std::string_view name = scheme_text(scheme);
    if (!text.starts_with(name)) return false;
    std::string_view rest = text.substr(name.size());
    const bool service = rest.starts_with(kServiceMark);
    if (service) rest.remove_prefix(kServiceMark.size());
    if (!rest.starts_with("://")) return false;
    text = rest.substr(3);
    url.scheme = scheme;
    url.service = service;
    return true;
  };
  if (!take_scheme(TargetScheme::kHttp) && !take_scheme(TargetScheme::kHttps) &&
      !take_scheme(TargetScheme::kTcp) && !take_scheme(TargetScheme::kUdp))
    return malformed();
  if (text.find_first_of("?#") != text.npos) return because("a target has no query and no fragment");
  const auto path_at = text.find('/');
  std::string_view host = text.substr(0, path_at);
  std::string_view path = path_at == text.npos ? std::string_view() : text.substr(path_at);
  if (host.find('@') != host.npos) return because("a target has no user name or password");

  std::string_view port;
  bool has_port = false;
  if (host.starts_with('[')) {
    const auto close = host.find(']');
    if (close == host.npos) return malformed();
    port = host.substr(close + 1);
    host = host.substr(1, close - 1);
    if (!port.empty() && port[0] != ':') return malformed();
    if (host.find(':') == host.npos || !parse_ip(host))
      return because("the host in brackets is not an IPv6 address");
    has_port = !port.empty();
    if (has_port) port.remove_prefix(1);
  } else if (const auto colon = host.find(':'); colon != host.npos) {
    port = host.substr(colon + 1);
    host = host.substr(0, colon);
    has_port = true;
  }
  if (host.empty()) return because("the host is missing");
  if (!parse_ip(host) && (host.size() > 253 || !std::ranges::all_of(host, is_host_character)))
    return because("the host is neither a name nor an IP address");
  if (has_port) {
    const auto number = parse_port(port);
    if (!number || *number == 0) return because("the port is not a number from 1 to 65535");
    url.port = *number;
  }
  if (url.service) {
    if (parse_ip(host)) return because("a service has a name in DNS, no address");
    if (has_port) return because("the ports of a service come from its SRV records");
    url.port = 0;
  }
  if (url.scheme == TargetScheme::kHttps && !has_port && !url.service) url.port = 443;
  if (url.scheme == TargetScheme::kTcp || url.scheme == TargetScheme::kUdp) {
    if (!has_port && !url.service) return because("a `tcp://` or `udp://` target needs its port");
    if (!path.empty()) return because("a `tcp://` or `udp://` target has no path");
  }
  for (char c : path)
    if (static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7f || c == '\\')
      return because("the base path has characters that must be percent-encoded");
  while (path.ends_with('/')) path.remove_suffix(1);
  url.host = ascii::to_lower(host);
  url.base_path = path;
  return url;
}

std::string authority(const TargetUrl& url) { return to_text(Address{url.host, url.port}); }

std::string_view scheme_text(TargetScheme scheme) {
  switch (scheme) {
    case TargetScheme::kHttp:
      return "http";
    case TargetScheme::kHttps:
      return "https";
    case TargetScheme::kTcp:
      return "tcp";
    case TargetScheme::kUdp:
      return "udp";
  }
  return {};
}

std::string to_text(const TargetUrl& url) {
  std::string text(scheme_text(url.scheme));
  if (url.service) return text.append(kServiceMark).append("://").append(url.host).append(url.base_path);
  return text + "://" + authority(url) + url.base_path;
}

}  // namespace sluice::config
