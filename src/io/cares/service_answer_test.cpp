#include "io/cares/service_answer.h"

#include <gtest/gtest.h>

namespace sluice::io {
namespace {

using std::chrono::seconds;

std::string number(uint32_t value, int bytes) {
  std::string out;
  for (int i = bytes - 1; i >= 0; --i) out.push_back(static_cast<char>(value >> (8 * i)));
  return out;
}
/// RFC 1035, section 3.1: labels, each behind its length.
std::string name(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    std::string_view label = text.substr(0, text.find('.'));
    out += static_cast<char>(label.size());
    out += label;
    text.remove_prefix(std::min(text.size(), label.size() + 1));
  }
  return out + '\0';
}
const std::string kSameName = "\xC0\x0C";  // a pointer to the question's
constexpr uint16_t kTypeAlias = 5;
constexpr uint16_t kTypeService = 33;

std::string record(uint16_t type, uint32_t ttl, const std::string& data) {
  return kSameName + number(type, 2) + number(1, 2) + number(ttl, 4) +
         number(static_cast<uint32_t>(data.size()), 2) + data;
}
std::string service(uint32_t ttl, uint16_t priority, uint16_t weight, uint16_t port,
                    const std::string& host) {
  return record(kTypeService, ttl, number(priority, 2) + number(weight, 2) + number(port, 2) + host);
}
std::string message(const std::vector<std::string>& answers) {
  std::string out = number(0x1234, 2) + number(0x8180, 2) + number(1, 2) +
                    number(static_cast<uint32_t>(answers.size()), 2) + number(0, 4) +
                    name("_users._tcp.test") + number(kTypeService, 2) + number(1, 2);
  for (const std::string& answer : answers) out += answer;
  return out;
}
std::optional<ServiceRecords> parse(std::string_view text) {
  return parse_service_answer({reinterpret_cast<const unsigned char*>(text.data()), text.size()});
}

TEST(ServiceAnswer, GivesRecordsAndTheShortestTtl) {
  auto found = parse(message(
      {service(60, 10, 5, 8080, name("A.example.test")), service(17, 20, 0, 8081, name("b.example.test"))}));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->ttl, seconds(17));
  EXPECT_EQ(found->records, (std::vector<ServiceRecord>{
                                {.priority = 10, .host = "a.example.test", .port = 8080, .weight = 5},
                                {.priority = 20, .host = "b.example.test", .port = 8081, .weight = 0}}));
}

TEST(ServiceAnswer, AnAliasCountsForTheTtlAlone) {
  auto found = parse(message(
      {record(kTypeAlias, 5, name("_users._tcp.elsewhere.test")), service(60, 0, 0, 80, name("a.test"))}));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->ttl, seconds(5));
  EXPECT_EQ(found->records.size(), 1u);
}

// RFC 2181, section 8.
TEST(ServiceAnswer, ATtlWithItsHighestBitSetIsZero) {
  EXPECT_EQ(parse(message({service(0x8000'0000, 0, 0, 80, name("a.test"))}))->ttl, seconds(0));
}

// RFC 2782: a target of "." means that the service is decidedly not available.
TEST(ServiceAnswer, WhatCannotBeConnectedToIsLeftOut) {
  auto found = parse(message({service(60, 0, 0, 80, name("")), service(60, 0, 0, 0, name("a.test")),
                              service(60, 0, 0, 80, name("a b.test")), service(60, 0, 0, 80, kSameName)}));
  ASSERT_TRUE(found);
  ASSERT_EQ(found->records.size(), 1u);
  EXPECT_EQ(found->records[0].host, "_users._tcp.test") << "a compressed name";
  EXPECT_TRUE(parse(message({}))->records.empty());
}

TEST(ServiceAnswer, WhatIsCutShortOrLiesIsNoAnswer) {
  std::string whole = message({service(60, 0, 0, 80, name("a.test")), service(60, 0, 0, 80, name("b.test"))});
  ASSERT_TRUE(parse(whole));
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_FALSE(parse(std::string_view(whole).substr(0, size))) << size;
  std::string longer = service(60, 0, 0, 80, name("a.test"));
  longer[11] = static_cast<char>(longer[11] + 1);  // its length
  EXPECT_FALSE(parse(message({longer, service(60, 0, 0, 80, name("b.test"))})));
  // A name that points at itself.
  size_t at = message({}).size() + 12 + 6;
  EXPECT_FALSE(parse(message({service(60, 0, 0, 80, number(0xC000 | static_cast<uint32_t>(at), 2))})));
}

TEST(ServiceAnswer, RecordsAreBounded) {
  std::vector<std::string> answers(kMaxServiceRecords + 9, service(60, 0, 0, 80, name("a.test")));
  EXPECT_EQ(parse(message(answers))->records.size(), kMaxServiceRecords);
}

}  // namespace
}  // namespace sluice::io
