#include "store/local/local_store.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

namespace sluice::store {
namespace {

constexpr int64_t kEnd = 1'800'000'000;
constexpr CounterKey kKey{UINT64_MAX, 5};  // beyond SQLite's integers

class LocalStoreTest : public ::testing::Test {
 protected:
  LocalStoreTest() {
    folder = std::filesystem::temp_directory_path() / ("sluice-store-" + std::to_string(getpid()));
  }
  ~LocalStoreTest() override { std::filesystem::remove_all(folder); }

  static Grant ask(LocalStore& store, uint64_t limit, uint64_t wanted, int64_t end = kEnd) {
    Grant grants[] = {{.key = kKey, .period_end = end, .limit = limit, .wanted = wanted}};
    auto granted = store.grant(grants);
    EXPECT_TRUE(granted) << granted.error();
    return grants[0];
  }
  std::filesystem::path folder;
};

TEST_F(LocalStoreTest, GrantsUpToTheLimitAndRemembersIt) {
  uint64_t seed = 0;
  {
    LocalStore store;
    ASSERT_TRUE(store.open(folder));
    seed = store.seed();
    Grant first = ask(store, 25, 10);
    EXPECT_EQ(std::pair(first.from, first.to), std::pair(uint64_t{0}, uint64_t{10}));
    Grant second = ask(store, 25, 10);
    EXPECT_EQ(std::pair(second.from, second.to), std::pair(uint64_t{10}, uint64_t{20}));
  }
  LocalStore again;
  ASSERT_TRUE(again.open(folder));
  EXPECT_EQ(again.seed(), seed);
  Grant third = ask(again, 25, 10);
  EXPECT_EQ(std::pair(third.from, third.to), std::pair(uint64_t{20}, uint64_t{25}));
  Grant fourth = ask(again, 25, 10);
  EXPECT_EQ(fourth.from, fourth.to) << "nothing is left";
  EXPECT_EQ(ask(again, 30, 10).to, 30u) << "a larger limit keeps what was used";
}

TEST_F(LocalStoreTest, PeriodsBeginAnewAndNeverGoBack) {
  LocalStore store;
  ASSERT_TRUE(store.open(folder));
  ask(store, 10, 10);
  Grant next = ask(store, 10, 4, kEnd + 60);
  EXPECT_EQ(std::pair(next.from, next.to), std::pair(uint64_t{0}, uint64_t{4}));
  Grant back = ask(store, 10, 4);
  EXPECT_EQ(back.period_end, kEnd + 60) << "the clock was set back: the later period goes on";
  EXPECT_EQ(back.from, 4u);
  ASSERT_TRUE(store.forget_before(kEnd + 61));
  EXPECT_EQ(ask(store, 10, 4).from, 0u);
}

TEST_F(LocalStoreTest, WhatIsGivenBackIsGrantedAgainUnlessOthersWereGrantedMore) {
  LocalStore ours, others;
  ASSERT_TRUE(ours.open(folder));
  ASSERT_TRUE(others.open(folder)) << "two processes, one after the other or at once";
  EXPECT_EQ(ours.seed(), others.seed());
  ask(ours, 100, 10);
  Unspent unspent[] = {{kKey, kEnd, 10, 3}};
  ASSERT_TRUE(ours.give_back(unspent));
  EXPECT_EQ(ask(others, 100, 10).from, 3u);
  Unspent stale[] = {{kKey, kEnd, 10, 3}};
  ASSERT_TRUE(ours.give_back(stale));
  EXPECT_EQ(ask(ours, 100, 10).from, 13u);
}

// Granted in memory while the disk failed.
TEST_F(LocalStoreTest, GoesOnFromWhatIsGoneAlready) {
  LocalStore store;
  ASSERT_TRUE(store.open(folder));
  ask(store, 100, 10);
  Grant grants[] = {{.key = kKey, .period_end = kEnd, .limit = 100, .wanted = 10, .floor = 45}};
  ASSERT_TRUE(store.grant(grants));
  EXPECT_EQ(std::pair(grants[0].from, grants[0].to), std::pair(uint64_t{45}, uint64_t{55}));
  Grant after = ask(store, 100, 10);
  EXPECT_EQ(std::pair(after.from, after.to), std::pair(uint64_t{55}, uint64_t{65}));
  Grant behind[] = {{.key = kKey, .period_end = kEnd, .limit = 100, .wanted = 10, .floor = 20}};
  ASSERT_TRUE(store.grant(behind));
  EXPECT_EQ(behind[0].from, 65u) << "others were granted more";
}

TEST_F(LocalStoreTest, IsReadableByNobodyElse) {
  LocalStore store;
  ASSERT_TRUE(store.open(folder));
  ask(store, 100, 10);
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    struct stat found{};
    ASSERT_EQ(stat(file.path().c_str(), &found), 0);
    EXPECT_EQ(found.st_mode & 077, 0u) << file.path();
  }
}

TEST_F(LocalStoreTest, SaysWhatIsWrong) {
  std::ofstream(folder.string() + "-file") << "x";
  LocalStore below_a_file;
  auto opened = below_a_file.open(folder.string() + "-file");
  EXPECT_FALSE(opened);
  std::filesystem::remove(folder.string() + "-file");

  std::filesystem::create_directories(folder);
  std::ofstream(folder / "sluice.db") << std::string(4096, 'x');
  LocalStore no_database;
  opened = no_database.open(folder);
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().find("not a database"), std::string::npos) << opened.error();
}

}  // namespace
}  // namespace sluice::store
