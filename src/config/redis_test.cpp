#include "config/redis.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace sluice::config
