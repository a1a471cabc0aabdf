#include "gateway/redis/reply.h"

#include <gtest/gtest.h>

namespace sluice::gateway {
namespace {

using Kind = RedisReply::Kind;

// redis.io/docs/reference/protocol-spec, RESP2; every split of the bytes gives the same.
TEST(RedisReplyReader, ReadsEveryKindByteByByte) {
  constexpr std::string_view kAll =
      "+OK\r\n-ERR no\r\n:-7\r\n$3\r\na\r\n\r\n$-1\r\n*2\r\n:1\r\n*1\r\n$1\r\nx\r\n*0\r\n*-1\r\n";
  RedisReplyReader reader;
  std::vector<RedisReply> replies;
  for (char c : kAll) {
    ASSERT_TRUE(reader.feed({&c, 1}));
    while (auto reply = reader.next()) replies.push_back(std::move(*reply));
    ASSERT_FALSE(reader.broken());
  }
  ASSERT_EQ(replies.size(), 8u);
  EXPECT_EQ(replies[0].kind, Kind::kStatus);
  EXPECT_EQ(replies[0].text, "OK");
  EXPECT_EQ(replies[1].kind, Kind::kError);
  EXPECT_EQ(replies[1].text, "ERR no");
  EXPECT_EQ(replies[2].integer, -7);
  EXPECT_EQ(replies[3].text, "a\r\n");
  EXPECT_EQ(replies[4].kind, Kind::kNil);
  ASSERT_EQ(replies[5].items.size(), 2u);
  EXPECT_EQ(replies[5].items[0].integer, 1);
  EXPECT_EQ(replies[5].items[1].items.at(0).text, "x");
  EXPECT_EQ(replies[6].kind, Kind::kArray);
  EXPECT_EQ(replies[7].kind, Kind::kNil);
}

TEST(RedisReplyReader, RefusesWhatIsNoReplyOrTooMuch) {
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += "*1\r\n";
  for (std::string_view bad : std::initializer_list<std::string_view>{
           "HTTP/1.1 200 OK\r\n", "*1000000000\r\n", "*1025\r\n", ":x\r\n", deep}) {
    RedisReplyReader reader;
    reader.feed(bad);
    EXPECT_FALSE(reader.next()) << bad;
    EXPECT_TRUE(reader.broken()) << bad;
  }
  RedisReplyReader reader;
  std::string piece(1000, 'x');
  reader.feed("$2000000\r\n");
  for (int i = 0; i < 2000 && !reader.broken(); ++i) {
    reader.feed(piece);
    EXPECT_FALSE(reader.next());
  }
  EXPECT_TRUE(reader.broken());
}

TEST(RedisReplyReader, WritesCommands) {
  EXPECT_EQ(redis_command({"SET", "a\r\n", ""}), "*3\r\n$3\r\nSET\r\n$3\r\na\r\n\r\n$0\r\n\r\n");
}

}  // namespace
}  // namespace sluice::gateway
