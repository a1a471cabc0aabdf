#include "config/redis.h"

#include <fmt/format.h>

#include "base/ascii.h"
#include "config/document.h"
#include "config/values.h"

namespace sluice::config {

namespace {

constexpr uint64_t kMostDatabase = 1'000'000;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c |= 0x20;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/// Percent-decoded (RFC 3986, section 2.1).
std::optional<std::string> decoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    int high = hex_digit(text[i + 1]);
    int low = hex_digit(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high << 4 | low);
    i += 2;
  }
  return out;
}

std::string encoded(std::string_view text) {
  std::string out;
  for (char c : text) {
    bool plain = ascii::is_alpha(c) || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

}  // namespace

Parsed<RedisUrl> parse_redis_url(std::string_view text) {
  RedisUrl url;
  if (text.starts_with("rediss://"))
    url.tls = true;
  else if (!text.starts_with("redis://"))
    return std::unexpected(std::string());
  text.remove_prefix(url.tls ? 9 : 8);
  if (size_t at = text.rfind('@'); at != std::string_view::npos) {
    std::string_view user = text.substr(0, at);
    text.remove_prefix(at + 1);
    size_t colon = user.find(':');
    auto name = decoded(user.substr(0, colon));
    auto password = decoded(colon == std::string_view::npos ? std::string_view() : user.substr(colon + 1));
    if (!name || !password) return std::unexpected("the user or password has a bad `%`");
    url.user = *name;
    url.password = *password;
  }
  if (size_t slash = text.find('/'); slash != std::string_view::npos) {
    std::string_view database = text.substr(slash + 1);
    text = text.substr(0, slash);
    auto number = database.empty() ? std::optional<uint64_t>(0) : ascii::parse_decimal(database);
    if (!number || *number > kMostDatabase) return std::unexpected("the database is not a number");
    url.database = static_cast<uint32_t>(*number);
  }
  // A target's rules hold for host and port.
  auto target = parse_target_url("http://" + std::string(text));
  if (!target) return std::unexpected(target.error());
  url.host = target->host;
  if (text.ends_with(':' + std::to_string(target->port))) url.port = target->port;
  return url;
}

std::string to_text(const RedisUrl& url) {
  std::string text = url.tls ? "rediss://" : "redis://";
  if (!url.user.empty() || !url.password.empty())
    text += encoded(url.user) + ":" + encoded(url.password) + "@";
  text += to_text(Address{url.host, url.port});
  if (url.database != 0) text += "/" + std::to_string(url.database);
  return text;
}

const Struct<RedisStore>& RedisStore::schema() {
  static const auto schema =
      Struct<RedisStore>("redis_store", "A Redis server that several gateways share counters in.")
          .field("url", &RedisStore::url,
                 "Where it is: `redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]`, `rediss://` over TLS.")
          .secret()
          .required()
          .field("tls", &RedisStore::tls, "How it is spoken to over TLS.")
          .field("timeout", &RedisStore::timeout, "How long a request waits for it at most.")
          .range(std::chrono::milliseconds(1), std::chrono::seconds(10))
          .field("connect_timeout", &RedisStore::connect_timeout, "How long connecting to it may take.")
          .range(std::chrono::milliseconds(1), std::chrono::minutes(1));
  return schema;
}

}  // namespace sluice::config
