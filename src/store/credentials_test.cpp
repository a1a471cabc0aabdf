#include "store/credentials.h"

#include <gtest/gtest.h>

#include <thread>

namespace sluice::store {
namespace {

class CredentialTableTest : public ::testing::Test {
 protected:
  CredentialTableTest() { reader_.online(); }

  Digest digest(std::string_view secret) const { return hasher_(secret); }
  Digest digest(size_t number) const { return hasher_("secret-" + std::to_string(number)); }
  CredentialTable::Entry entry(std::string_view secret, uint32_t consumer) const {
    return {digest(secret), consumer, PublicPrefix::of(secret)};
  }
  std::string owner(std::string_view secret) const {
    const Credential* found = table_.find(digest(secret));
    return found ? found->consumer->name : "";
  }
  static std::vector<Consumer> consumers() {
    return {Consumer::of("anna", {"partners", "eu"}, {"reader", "writer"}), Consumer::of("ben", {}, {})};
  }

  KeyedHasher hasher_{std::array<std::byte, KeyedHasher::kKeyBytes>{}};
  EpochDomain domain_;
  CredentialTable table_{domain_};
  EpochReader reader_{domain_};
};

TEST(PublicPrefix, IsShownOnlyOfLongVisibleSecrets) {
  EXPECT_EQ(PublicPrefix::of("sk_live_12345678").view(), "sk_l");
  EXPECT_EQ(PublicPrefix::of("sk_live_1234567").view(), "") << "15 characters";
  EXPECT_EQ(PublicPrefix::of("demo-key").view(), "");
  EXPECT_EQ(PublicPrefix::of("").view(), "");
  EXPECT_EQ(PublicPrefix::of("a\tb\x80 678901234567890").view(), "");
  EXPECT_EQ(PublicPrefix().view(), "");
}

TEST_F(CredentialTableTest, FindsWhatItHoldsAndNothingElse) {
  EXPECT_EQ(table_.find(digest("x")), nullptr);
  std::vector entries{entry("anna-secret-0123456789", 0), entry("x", 0), entry("y", 1)};
  auto result = table_.replace_all(consumers(), entries);
  EXPECT_EQ(result.added, 3u);
  EXPECT_EQ(table_.size(), 3u);
  const Credential* found = table_.find(digest("anna-secret-0123456789"));
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->consumer->name, "anna");
  EXPECT_EQ(found->consumer->groups_text, "partners, eu");
  EXPECT_EQ(found->prefix.view(), "anna");
  EXPECT_EQ(owner("x"), "anna");
  EXPECT_EQ(owner("y"), "ben");
  EXPECT_EQ(owner("z"), "");
}

TEST_F(CredentialTableTest, TheFirstOfTwoWithOneSecretCountsAndTheOtherIsReported) {
  std::vector entries{entry("x", 0), entry("y", 0), entry("x", 1)};
  EXPECT_EQ(table_.replace_all(consumers(), entries).duplicates, std::vector<size_t>{2});
  EXPECT_EQ(owner("x"), "anna");
  EXPECT_EQ(table_.size(), 2u);
}

TEST_F(CredentialTableTest, ReplacingKeepsTheRecordsThatStayTheSame) {
  table_.replace_all(consumers(), std::vector{entry("same", 0), entry("moves", 0), entry("goes", 1)});
  const Credential* before = table_.find(digest("same"));
  auto result =
      table_.replace_all(consumers(), std::vector{entry("same", 0), entry("moves", 1), entry("comes", 1)});
  EXPECT_EQ(result.kept, 1u);
  EXPECT_EQ(result.changed, 1u);
  EXPECT_EQ(result.added, 1u);
  EXPECT_EQ(result.removed, 1u);
  EXPECT_EQ(table_.find(digest("same")), before);
  EXPECT_EQ(owner("moves"), "ben");
  EXPECT_EQ(owner("comes"), "ben");
  EXPECT_EQ(owner("goes"), "");
}

TEST_F(CredentialTableTest, AChangedConsumerIsSeenThroughItsOldCredentials) {
  table_.replace_all(consumers(), std::vector{entry("x", 0), entry("y", 1)});
  std::vector changed{Consumer::of("ben", {}, {}), Consumer::of("anna", {"staff"}, {})};
  auto result = table_.replace_all(changed, std::vector{entry("x", 1), entry("y", 0)});
  EXPECT_EQ(result.kept, 1u);
  EXPECT_EQ(result.changed, 1u);
  EXPECT_EQ(table_.find(digest("x"))->consumer->groups_text, "staff");

  table_.put_consumer(Consumer::of("anna", {"guests"}, {}));
  EXPECT_EQ(table_.find(digest("x"))->consumer->groups_text, "guests");
  EXPECT_EQ(owner("y"), "ben");
}

TEST_F(CredentialTableTest, WhatAReaderHoldsStaysUntilItIsQuiescent) {
  table_.replace_all(consumers(), std::vector{entry("x", 0)});
  const Credential* held = table_.find(digest("x"));
  table_.replace_all({}, {});
  table_.put_consumer(Consumer::of("carl", {}, {}));
  for (size_t i = 0; i < 2000; ++i) table_.upsert(digest(i), "carl", {});
  EXPECT_EQ(held->consumer->name, "anna");
  size_t before = table_.bytes();
  reader_.quiescent();
  table_.collect();
  EXPECT_LT(table_.bytes(), before);
}

TEST_F(CredentialTableTest, AnIdentityOutlivesTheCredential) {
  table_.replace_all(consumers(), std::vector{entry("anna-secret-0123456789", 0)});
  Arena arena;
  Identity identity = Identity::copy(*table_.find(digest("anna-secret-0123456789")), arena);
  table_.replace_all({}, {});
  reader_.quiescent();
  table_.collect();
  EXPECT_EQ(identity.consumer, "anna");
  EXPECT_EQ(identity.groups, "partners, eu");
  EXPECT_EQ(identity.credential, "anna");
  ASSERT_EQ(identity.roles.size(), 2u);
  EXPECT_EQ(identity.roles[1], "writer");
}

TEST_F(CredentialTableTest, OneByOneItGrowsAndShrinks) {
  EXPECT_FALSE(table_.upsert(digest("x"), "carl", {})) << "no such consumer";
  table_.put_consumer(Consumer::of("carl", {}, {}));
  table_.put_consumer(Consumer::of("dora", {}, {}));
  constexpr size_t kMany = 20'000;
  for (size_t i = 0; i < kMany; ++i) ASSERT_TRUE(table_.upsert(digest(i), "carl", {}));
  EXPECT_EQ(table_.size(), kMany);
  for (size_t i = 0; i < kMany; i += 2) ASSERT_TRUE(table_.erase(digest(i)));
  EXPECT_FALSE(table_.erase(digest(size_t{0})));
  EXPECT_EQ(table_.size(), kMany / 2);
  EXPECT_TRUE(table_.upsert(digest(size_t{1}), "dora", {}));
  EXPECT_EQ(table_.size(), kMany / 2);
  for (size_t i = 0; i < kMany; ++i) ASSERT_EQ(table_.find(digest(i)) != nullptr, i % 2 == 1) << i;
  EXPECT_EQ(owner("secret-1"), "dora");
}

TEST_F(CredentialTableTest, ComingAndGoingForeverNeedsNoMoreMemory) {
  table_.put_consumer(Consumer::of("carl", {}, {}));
  size_t high = 0;
  for (size_t i = 0; i < 50'000; ++i) {
    table_.upsert(digest(i % 300), "carl", {});
    table_.erase(digest((i + 150) % 300));
    reader_.quiescent();
    if (i == 5000) high = table_.bytes();
  }
  EXPECT_LE(table_.bytes(), high + 8192);
}

TEST_F(CredentialTableTest, AKeyCostsLessThan150Bytes) {  // issue 8
  constexpr size_t kKeys = 100'000;
  std::vector<CredentialTable::Entry> entries;
  for (size_t i = 0; i < kKeys; ++i) entries.push_back({digest(i), static_cast<uint32_t>(i % 2), {}});
  table_.replace_all(consumers(), entries);
  EXPECT_LT(table_.bytes() / kKeys, 150u);
}

/// Readers look while everything changes. "stays" is in every version, and its consumer's groups always name
/// the consumer; under ASan and TSan a record that goes too early shows.
TEST_F(CredentialTableTest, ReadersSeeWholeRecordsWhileWritersChangeEverything) {
  auto version = [&](size_t number) {
    std::vector<Consumer> all;
    std::vector<CredentialTable::Entry> entries;
    for (uint32_t i = 0; i < 20; ++i) {
      std::string name = "c" + std::to_string(i);
      all.push_back(Consumer::of(name, {name + "-" + std::to_string(number % 3)}, {}));
      for (size_t k = 0; k < 20; ++k) entries.push_back({digest(number % 7 * 50 + i * 20 + k), i, {}});
    }
    entries.push_back({digest("stays"), 7, {}});
    return table_.replace_all(std::move(all), entries);
  };
  version(0);
  reader_.offline();
  std::atomic<bool> stop = false;
  std::atomic<uint64_t> wrong = 0;
  std::vector<std::jthread> readers;
  for (int thread = 0; thread < 2; ++thread) {
    readers.emplace_back([&] {
      Digest stays = digest("stays");
      std::vector<Digest> asked;
      for (size_t i = 0; i < 700; ++i) asked.push_back(digest(i));
      EpochReader reader(domain_);
      reader.online();
      Arena arena;
      while (!stop.load(std::memory_order_relaxed)) {
        for (const Digest& one : asked) {
          const Credential* found = table_.find(one);
          if (!found) continue;
          Identity identity = Identity::copy(*found, arena);
          wrong += !(found->digest == one) || !identity.groups.starts_with(identity.consumer);
        }
        wrong += !table_.find(stays);
        arena.reset();
        reader.quiescent();
      }
      reader.offline();
    });
  }
  for (size_t round = 1; round < 150; ++round) {
    version(round);
    for (size_t i = 0; i < 50; ++i) table_.upsert(digest(600 + i), "c3", {});
    table_.put_consumer(Consumer::of("c3", {"c3-new"}, {}));
    for (size_t i = 0; i < 50; ++i) table_.erase(digest(600 + i));
  }
  stop = true;
  readers.clear();
  EXPECT_EQ(wrong, 0u);
  table_.collect();
}

}  // namespace
}  // namespace sluice::store
