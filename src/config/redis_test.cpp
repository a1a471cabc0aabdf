#include "config/redis.h"

#include <gtest/gtest.h>

#include "config/loader.h"

namespace sluice::config {
namespace {

RedisUrl url(std::string user, std::string password, std::string host, uint16_t port = 6379,
             uint32_t database = 0) {
  return {false, std::move(user), std::move(password), std::move(host), port, database};
}

// The URLs that redis-cli -u takes, and IANA's registration of `redis` and `rediss`.
TEST(RedisUrl, IsReadAndWritten) {
  EXPECT_EQ(parse_redis_url("redis://cache").value(), url({}, {}, "cache"));
  EXPECT_EQ(parse_redis_url("redis://10.0.0.1:80/2").value(), url({}, {}, "10.0.0.1", 80, 2));
  EXPECT_EQ(parse_redis_url("rediss://:p%40ss@[::1]:6380/").value(),
            (RedisUrl{true, {}, "p@ss", "::1", 6380, 0}));
  EXPECT_EQ(parse_redis_url("redis://me:a:b@h").value(), url("me", "a:b", "h"));
  for (std::string_view bad : {"http://h", "redis://", "redis://h:0", "redis://h/x", "redis://h/1/2",
                               "redis://u:%4@h", "redis://a b", "redis://h:99999", "redis:///1"})
    EXPECT_FALSE(parse_redis_url(bad)) << bad;
  for (std::string_view good : {"redis://h:6379", "rediss://u:p%2F%40@h:1/3", "redis://:p@[::1]:6379"})
    EXPECT_EQ(to_text(*parse_redis_url(good)), good);
}

TEST(RedisAddress, IsAHostAndAPort) {
  EXPECT_EQ(parse_redis_address("Redis-1:6379").value(), (RedisAddress{"redis-1", 6379}));
  EXPECT_EQ(parse_redis_address("[::1]:26379").value(), (RedisAddress{"::1", 26379}));
  EXPECT_EQ(to_text(RedisAddress{"::1", 26379}), "[::1]:26379");
  for (std::string_view bad : {"redis-1", "redis-1:", "redis-1:0", "redis-1:65536", ":6379", "::1:6379",
                               "a b:1", "user@h:1", "h:1/0", "redis://h:1", ""})
    EXPECT_FALSE(parse_redis_address(bad)) << bad;
}

/// The rules and messages of what is wrong with a store; the document when nothing is.
LoadResult load_store(std::string_view store) {
  return load_text("version: 1\nredis: { s: " + std::string(store) + " }\n",
                   {.environment = Environment::empty()});
}
std::string problems(std::string_view store) {
  std::string all;
  LoadResult loaded = load_store(store);
  for (const Problem& problem : loaded.diagnostics.problems())
    all += problem.rule + ": " + problem.message + "\n";
  return all;
}

TEST(RedisStore, IsOneServerOrWhatSentinelsNameOrACluster) {
  EXPECT_EQ(problems("{ url: redis://h }"), "");
  auto loaded = load_store(
      "{ sentinel: { master: m, addresses: [a:1, b:2], user: u, password: p, tls: { sni: s } }, user: x, "
      "password: y, database: 3, tls: {} }");
  ASSERT_TRUE(loaded.ok()) << problems("{}");
  const RedisStore& store = loaded.document.redis.begin()->second;
  EXPECT_EQ(store.sentinel->master, "m");
  EXPECT_EQ(store.sentinel->addresses, (std::vector<RedisAddress>{{"a", 1}, {"b", 2}}));
  EXPECT_EQ(store.sentinel->password, "p");
  EXPECT_EQ(store.sentinel->tls->sni, "s");
  EXPECT_EQ(store.database, 3u);
  for (std::string_view text :
       {"{ cluster: { addresses: [a:1] } }", "{ cluster: [a:1] }", "{ cluster: a:1 }"}) {
    auto cluster = load_store(text);
    ASSERT_TRUE(cluster.ok()) << text << problems(text);
    EXPECT_EQ(cluster.document.redis.begin()->second.cluster->addresses,
              (std::vector<RedisAddress>{{"a", 1}}));
  }
}

TEST(RedisStore, SaysWhatExcludesEachOther) {
  constexpr std::string_view kEach = "conflict: `url`, `sentinel` and `cluster` exclude each other\n";
  EXPECT_EQ(problems("{}"), "missing-key: a store has a `url`, a `sentinel` or a `cluster`\n");
  EXPECT_EQ(problems("{ url: redis://h, cluster: [a:1] }"), kEach);
  EXPECT_EQ(problems("{ cluster: [a:1], sentinel: { master: m, addresses: [a:1] } }"), kEach);
  EXPECT_EQ(problems("{ url: redis://h, user: u }"), "conflict: `url` says the user itself\n");
  EXPECT_EQ(problems("{ url: redis://h, password: u }"), "conflict: `url` says the password itself\n");
  EXPECT_EQ(problems("{ url: redis://h, database: 0 }"), "conflict: `url` says the database itself\n");
  EXPECT_EQ(problems("{ cluster: [a:1], database: 1 }"), "conflict: a cluster has only database 0\n");
  EXPECT_EQ(problems("{ cluster: [a:1], user: u }"), "conflict: a `user` needs a `password`\n");
  EXPECT_EQ(problems("{ sentinel: { master: m, addresses: [a:1], user: u } }"),
            "conflict: a `user` needs a `password`\n");
  EXPECT_EQ(problems("{ sentinel: { master: '', addresses: [a:1] } }"),
            "invalid-value: the master has a name\n");
  EXPECT_NE(problems("{ sentinel: { master: m, addresses: [] } }"), "");
  EXPECT_NE(problems("{ sentinel: { master: m, addresses: [a] } }"), "");
  EXPECT_NE(problems("{ sentinel: { addresses: [a:1] } }"), "");
  EXPECT_NE(problems("{ cluster: true }"), "");
  std::string many = "{ cluster: [";
  for (int i = 1; i <= 65; ++i) many += "a:" + std::to_string(i) + ",";
  EXPECT_EQ(problems(many + "] }"), "too-many-items: there are at most 64 addresses\n");
}

}  // namespace
}  // namespace sluice::config
