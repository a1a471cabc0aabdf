#include "gateway/redis/topology.h"

#include <gtest/gtest.h>

namespace sluice::gateway {
namespace {

RedisReply reply_of(std::string_view wire) {
  RedisReplyReader reader({.bytes = 4 << 20, .items = kSlots});
  reader.feed(wire);
  auto reply = reader.next();
  EXPECT_TRUE(reply) << wire.substr(0, 200);
  return reply ? std::move(*reply) : RedisReply{};
}

// Redis Cluster Specification, "Key distribution model", "Hash tags" and appendix A.
TEST(ClusterSlot, IsTheCrcOfTheFirstTag) {
  EXPECT_EQ(slot_of("123456789"), 0x31c3 % kSlots);
  EXPECT_EQ(slot_of("foo"), 12182);
  EXPECT_EQ(slot_of(""), 0);
  EXPECT_EQ(slot_of("{user1000}.following"), slot_of("user1000"));
  EXPECT_EQ(slot_of("foo{{bar}}zap"), slot_of("{bar"));
  EXPECT_EQ(slot_of("foo{bar}{zap}"), slot_of("bar"));
  EXPECT_EQ(slot_of("{bar}"), slot_of("bar"));
  EXPECT_NE(slot_of("foo{}{bar}"), slot_of("bar")) << "an empty tag is none";
  EXPECT_NE(slot_of("foo{bar"), slot_of("bar"));
  EXPECT_EQ(slot_of("sluice:{0123456789abcdef0123456789abcdef}:1f"),
            slot_of("0123456789abcdef0123456789abcdef"));
}

std::string entry(std::string_view first, std::string_view last, std::string_view host,
                  std::string_view port) {
  return "*3\r\n:" + std::string(first) + "\r\n:" + std::string(last) + "\r\n*3\r\n" + std::string(host) +
         "\r\n:" + std::string(port) + "\r\n$2\r\nid\r\n";
}
std::string host(std::string_view name) {
  return "$" + std::to_string(name.size()) + "\r\n" + std::string(name);
}

TEST(ClusterSlots, AreReadWithTheirMasters) {
  // As Redis 7 writes them, with a replica and metadata.
  auto slots = read_cluster_slots(
      reply_of(
          "*3\r\n"
          "*3\r\n:8192\r\n:16383\r\n*4\r\n$9\r\n127.0.0.1\r\n:7001\r\n$2\r\nid\r\n*0\r\n"
          "*4\r\n:0\r\n:8190\r\n*4\r\n$3\r\n::1\r\n:7000\r\n$2\r\nid\r\n*2\r\n$8\r\nhostname\r\n$1\r\nh\r\n"
          "*4\r\n$9\r\n127.0.0.1\r\n:7002\r\n$2\r\nid\r\n*0\r\n" +
          entry("8191", "8191", host("127.0.0.1"), "7001")),
      "seed");
  ASSERT_TRUE(slots);
  EXPECT_EQ(slots->nodes, (std::vector<RedisAddress>{{"127.0.0.1", 7001}, {"::1", 7000}}));
  ASSERT_EQ(slots->ranges.size(), 3u);
  EXPECT_EQ(slots->ranges[0].first, 0);
  EXPECT_EQ(slots->ranges[0].last, 8190);
  EXPECT_EQ(slots->ranges[0].node, 1);
  EXPECT_EQ(slots->ranges[1].node, 0);
  EXPECT_EQ(slots->ranges[2].last, 16383);
}

TEST(ClusterSlots, ANodeNeedNotSayItsOwnName) {
  for (std::string_view own : {"$0\r\n", "$-1"}) {
    auto slots = read_cluster_slots(reply_of("*1\r\n" + entry("0", "16383", own, "7000")), "10.0.0.1");
    ASSERT_TRUE(slots) << own;
    EXPECT_EQ(slots->nodes[0].host, "10.0.0.1");
  }
}

TEST(ClusterSlots, WhatIsNoneIsRefused) {
  const std::string good = entry("0", "1", host("h"), "1");
  EXPECT_TRUE(read_cluster_slots(reply_of("*1\r\n" + good), "h"));
  for (const std::string& bad :
       {std::string("*0\r\n"), std::string("*-1\r\n"), std::string("+OK\r\n"), std::string("-ERR no\r\n"),
        std::string("*1\r\n:1\r\n"), "*1\r\n" + entry("-1", "1", host("h"), "1"),
        "*1\r\n" + entry("0", "16384", host("h"), "1"), "*1\r\n" + entry("2", "1", host("h"), "1"),
        "*1\r\n" + entry("0", "1", host("h"), "0"), "*1\r\n" + entry("0", "1", host("h"), "-1"),
        "*1\r\n" + entry("0", "1", host("h"), "65536"), "*1\r\n" + entry("0", "1", host("?"), "1"),
        "*1\r\n" + entry("0", "1", host("a/b"), "1"), "*1\r\n" + entry("0", "1", ":7", "1"),
        "*2\r\n" + good + entry("1", "2", host("g"), "1"), std::string("*1\r\n*2\r\n:0\r\n:1\r\n"),
        std::string("*1\r\n*3\r\n:0\r\n:1\r\n*1\r\n$1\r\nh\r\n"),
        std::string("*1\r\n*3\r\n:0\r\n:1\r\n:1\r\n")})
    EXPECT_FALSE(read_cluster_slots(reply_of(bad), "h")) << bad;
}

TEST(ClusterSlots, EachSlotMayBeAnEntryButNotOfAnyNumberOfNodes) {
  std::string all = "*16384\r\n";
  for (size_t i = 0; i < kSlots; ++i)
    all += entry(std::to_string(i), std::to_string(i), host("h"), std::to_string(1 + i % kMostNodes));
  auto slots = read_cluster_slots(reply_of(all), "h");
  ASSERT_TRUE(slots);
  EXPECT_EQ(slots->nodes.size(), kMostNodes);
  EXPECT_EQ(slots->ranges.size(), kSlots);
  all = "*1001\r\n";
  for (size_t i = 0; i <= kMostNodes; ++i)
    all += entry(std::to_string(i), std::to_string(i), host("h"), std::to_string(1 + i));
  EXPECT_FALSE(read_cluster_slots(reply_of(all), "h"));
}

TEST(Redirection, IsReadStrictly) {
  auto moved = read_redirection(reply_of("-MOVED 3999 127.0.0.1:6381\r\n"), "h");
  ASSERT_TRUE(moved);
  EXPECT_EQ(moved->kind, Redirection::Kind::kMoved);
  EXPECT_EQ(moved->slot, 3999);
  EXPECT_EQ(moved->to, (RedisAddress{"127.0.0.1", 6381}));
  auto ask = read_redirection(reply_of("-ASK 16383 ::1:6381\r\n"), "h");
  ASSERT_TRUE(ask);
  EXPECT_EQ(ask->kind, Redirection::Kind::kAsk);
  EXPECT_EQ(ask->to, (RedisAddress{"::1", 6381}));
  auto own = read_redirection(reply_of("-MOVED 1 :6381\r\n"), "10.0.0.1");
  ASSERT_TRUE(own);
  EXPECT_EQ(own->to.host, "10.0.0.1");
  for (std::string_view bad :
       {"-MOVED\r\n", "-MOVED \r\n", "-MOVED 1\r\n", "-MOVED 16384 h:1\r\n", "-MOVED -1 h:1\r\n",
        "-MOVED 1 h\r\n", "-MOVED 1 h:\r\n", "-MOVED 1 h:0\r\n", "-MOVED 1 h:65536\r\n", "-MOVED 1 ?:0\r\n",
        "-MOVED x h:1\r\n", "-MOVED 1 h g:1\r\n", "-MOVED h:1 1\r\n", "-ERR MOVED 1 h:1\r\n",
        "+MOVED 1 h:1\r\n", "-ASKED 1 h:1\r\n"})
    EXPECT_FALSE(read_redirection(reply_of(bad), "h")) << bad;
}

TEST(Sentinel, NamesAMasterOrNone) {
  auto master = read_master_address(reply_of("*2\r\n$8\r\n10.0.0.1\r\n$4\r\n6379\r\n"));
  ASSERT_TRUE(master);
  EXPECT_EQ(*master, (RedisAddress{"10.0.0.1", 6379}));
  for (std::string_view bad :
       {"*-1\r\n", "*0\r\n", "+10.0.0.1:6379\r\n", "*1\r\n$1\r\nh\r\n", "*2\r\n$1\r\nh\r\n:1\r\n",
        "*2\r\n$1\r\nh\r\n$1\r\nx\r\n", "*2\r\n$1\r\nh\r\n$1\r\n0\r\n", "*2\r\n$0\r\n\r\n$1\r\n1\r\n",
        "*2\r\n$3\r\nh g\r\n$1\r\n1\r\n", "*3\r\n$1\r\nh\r\n$1\r\n1\r\n$1\r\n1\r\n"})
    EXPECT_FALSE(read_master_address(reply_of(bad))) << bad;
}

TEST(Sentinel, AMasterSaysSo) {
  EXPECT_TRUE(is_master(reply_of("*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n")));
  for (std::string_view other : {"*5\r\n$5\r\nslave\r\n$1\r\nh\r\n:1\r\n$9\r\nconnected\r\n:0\r\n", "*0\r\n",
                                 "$6\r\nmaster\r\n", "*1\r\n$8\r\nsentinel\r\n"})
    EXPECT_FALSE(is_master(reply_of(other))) << other;
}

}  // namespace
}  // namespace sluice::gateway
