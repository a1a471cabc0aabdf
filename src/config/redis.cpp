#include "config/redis.h"

#include <fmt/format.h>

#include <algorithm>

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

void check_servers(const std::vector<RedisAddress>& addresses, const Node& node, Reader& reader) {
  constexpr size_t kMostAddresses = 64;
  if (addresses.size() > kMostAddresses)
    reader.error(node, "too-many-items", fmt::format("there are at most {} addresses", kMostAddresses));
}

void check_user(const std::string& user, const std::string& password, const Node& node, Reader& reader) {
  if (!user.empty() && password.empty())
    reader.error(*node.find("user"), "conflict", "a `user` needs a `password`");
}

void check_store(const RedisStore& store, const Node& node, Reader& reader) {
  const Node* ways[] = {node.find("url"), node.find("sentinel"), node.find("cluster")};
  auto written = std::ranges::count_if(ways, [](const Node* way) { return way != nullptr; });
  if (written == 0) reader.error(node, "missing-key", "a store has a `url`, a `sentinel` or a `cluster`");
  if (written > 1) {
    const Node* last = ways[2] ? ways[2] : ways[1];
    reader.error(*last, "conflict", "`url`, `sentinel` and `cluster` exclude each other");
  }
  for (std::string_view name : {"user", "password", "database"})
    if (const Node* member = node.find(name); member && store.url)
      reader.error(*member, "conflict", fmt::format("`url` says the {} itself", name));
  if (store.cluster && store.database != 0)
    reader.error(*node.find("database"), "conflict", "a cluster has only database 0");
  if (!store.url) check_user(store.user, store.password, node, reader);
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

Parsed<RedisAddress> parse_redis_address(std::string_view text) {
  // A target's rules hold for host and port.
  if (text.find_first_of("/@") != std::string_view::npos) return std::unexpected(std::string());
  auto target = parse_target_url("tcp://" + std::string(text));
  if (!target) return std::unexpected(std::string());
  return RedisAddress{target->host, target->port};
}

std::string to_text(const RedisAddress& address) { return to_text(Address{address.host, address.port}); }

const Struct<RedisSentinel>& RedisSentinel::schema() {
  static const auto schema =
      Struct<RedisSentinel>("redis_sentinel", "Sentinels, which are asked what server is the master.")
          .field("master", &RedisSentinel::master, "The name that they have for it.")
          .required()
          .field("addresses", &RedisSentinel::addresses, "Where they are: `host:port`, asked in turn.")
          .one_or_many()
          .required()
          .min_items(1)
          .field("user", &RedisSentinel::user, "A user of theirs, not of the master.")
          .field("password", &RedisSentinel::password, "Its password; none is sent when left out.")
          .secret()
          .field("tls", &RedisSentinel::tls, "How they are spoken to over TLS; in the clear when left out.")
          .check([](const RedisSentinel& sentinel, const Node& node, Reader& reader) {
            if (sentinel.master.empty())
              reader.error(*node.find("master"), "invalid-value", "the master has a name");
            check_servers(sentinel.addresses, *node.find("addresses"), reader);
            check_user(sentinel.user, sentinel.password, node, reader);
          });
  return schema;
}

const Struct<RedisCluster>& RedisCluster::schema() {
  static const auto schema =
      Struct<RedisCluster>(
          "redis_cluster",
          "A Redis Cluster: each key is at one of its nodes. May be written as its addresses alone.")
          .field("addresses", &RedisCluster::addresses,
                 "Where some of its nodes are: `host:port`. They are asked for the others.")
          .one_or_many()
          .required()
          .min_items(1)
          .check([](const RedisCluster& cluster, const Node& node, Reader& reader) {
            const Node* addresses = node.find("addresses");
            check_servers(cluster.addresses, addresses ? *addresses : node, reader);
          })
          .shorthand("addresses");
  return schema;
}

const Struct<RedisStore>& RedisStore::schema() {
  static const auto schema =
      Struct<RedisStore>(
          "redis_store",
          "Redis, where several gateways share counters: one of `url`, `sentinel` and `cluster`.")
          .field("url", &RedisStore::url,
                 "One server: `redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]`, `rediss://` over TLS.")
          .secret()
          .field("sentinel", &RedisStore::sentinel, "The server that sentinels name as the master.")
          .field("cluster", &RedisStore::cluster, "A Redis Cluster.")
          .field("user", &RedisStore::user, "Who we are there; a `url` says it itself.")
          .field("password", &RedisStore::password, "Its password; none is sent when left out.")
          .secret()
          .field("database", &RedisStore::database, "The number of the database; a cluster has only one.")
          .range(0, static_cast<double>(kMostDatabase))
          .field("tls", &RedisStore::tls,
                 "How it is spoken to over TLS; without it `sentinel` and `cluster` are in the clear.")
          .field("timeout", &RedisStore::timeout, "How long a request waits for it at most.")
          .range(std::chrono::milliseconds(1), std::chrono::seconds(10))
          .field("connect_timeout", &RedisStore::connect_timeout, "How long connecting to it may take.")
          .range(std::chrono::milliseconds(1), std::chrono::minutes(1))
          .check(check_store);
  return schema;
}

}  // namespace sluice::config
