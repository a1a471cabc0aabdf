// Redis stores of the document: where counters are kept that several gateways share. A store is one server,
// the master that sentinels name, or a cluster.
#pragma once

#include <cstdint>
#include <string>

#include "config/types.h"

namespace sluice::config {

/// `redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]`; `rediss://` over TLS.
struct RedisUrl {
  bool tls = false;
  std::string user;      // decoded; empty: `default`
  std::string password;  // decoded; empty: none is sent
  std::string host;
  uint16_t port = 6379;
  uint32_t database = 0;
  friend bool operator==(const RedisUrl&, const RedisUrl&) = default;
};
Parsed<RedisUrl> parse_redis_url(std::string_view text);
std::string to_text(const RedisUrl& url);

template <>
struct ScalarTraits<RedisUrl> {
  static constexpr std::string_view kName = "Redis URL";
  static constexpr std::string_view kExpected = "a URL such as `redis://user:password@host:6379/0`";
  static constexpr std::string_view kPattern = "^rediss?://.+$";
  static constexpr bool kPlainNumber = false;
  static Parsed<RedisUrl> parse(std::string_view text) { return parse_redis_url(text); }
  static std::string text(const RedisUrl& value) { return to_text(value); }
};

/// A server that is not the only one: `redis-1:6379`, `10.0.0.1:6379`, `[::1]:6379`.
struct RedisAddress {
  std::string host;  // a name in lower case, or an IP address without brackets
  uint16_t port = 0;
  friend bool operator==(const RedisAddress&, const RedisAddress&) = default;
};
Parsed<RedisAddress> parse_redis_address(std::string_view text);
std::string to_text(const RedisAddress& address);

template <>
struct ScalarTraits<RedisAddress> {
  static constexpr std::string_view kName = "server";
  static constexpr std::string_view kExpected = "a host and a port such as `redis-1:6379` or `[::1]:6379`";
  static constexpr std::string_view kPattern = "^.+:[0-9]{1,5}$";
  static constexpr bool kPlainNumber = false;
  static Parsed<RedisAddress> parse(std::string_view text) { return parse_redis_address(text); }
  static std::string text(const RedisAddress& value) { return to_text(value); }
};

}  // namespace sluice::config
