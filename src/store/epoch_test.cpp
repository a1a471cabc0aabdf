#include "store/epoch.h"

#include <gtest/gtest.h>

#include <thread>

namespace sluice::store {
namespace {

TEST(Epoch, WithoutReadersEverythingIsDisposedOfAtOnce) {
  EpochDomain domain;
  RetireList retired(domain);
  int disposed = 0;
  retired.retire([&] { ++disposed; });
  EXPECT_EQ(disposed, 0) << "retiring disposes of nothing by itself";
  EXPECT_EQ(retired.collect(), 1u);
  EXPECT_EQ(disposed, 1);
}

TEST(Epoch, AnOnlineReaderDelaysUntilItIsQuiescent) {
  EpochDomain domain;
  RetireList retired(domain);
  EpochReader reader(domain);
  reader.online();
  int disposed = 0;
  retired.retire([&] { ++disposed; });
  retired.collect();
  EXPECT_EQ(disposed, 0);
  reader.quiescent();
  retired.collect();
  EXPECT_EQ(disposed, 1);
}

TEST(Epoch, AnOfflineReaderDelaysNothing) {
  EpochDomain domain;
  RetireList retired(domain);
  EpochReader reader(domain);
  EXPECT_FALSE(reader.is_online());
  reader.online();
  reader.offline();
  retired.retire([] {});
  EXPECT_EQ(retired.collect(), 1u);
}

TEST(Epoch, AReaderThatComesOnlineLaterDelaysNothingOlder) {
  EpochDomain domain;
  RetireList retired(domain);
  EpochReader reader(domain);
  retired.retire([] {});
  reader.online();
  retired.retire([] {});
  EXPECT_EQ(retired.collect(), 1u);
  EXPECT_EQ(retired.pending(), 1u);
}

TEST(Epoch, TheSlowestReaderDecides) {
  EpochDomain domain;
  RetireList retired(domain);
  EpochReader quick(domain);
  EpochReader slow(domain);
  quick.online();
  slow.online();
  retired.retire([] {});
  quick.quiescent();
  EXPECT_EQ(retired.collect(), 0u);
  slow.quiescent();
  EXPECT_EQ(retired.collect(), 1u);
}

TEST(Epoch, AReaderThatEndsDelaysNothing) {
  EpochDomain domain;
  RetireList retired(domain);
  {
    EpochReader reader(domain);
    reader.online();
    retired.retire([] {});
  }
  EXPECT_EQ(retired.collect(), 1u);
}

TEST(Epoch, TheListDisposesOfTheRestWhenItEnds) {
  EpochDomain domain;
  int disposed = 0;
  {
    RetireList retired(domain);
    retired.retire([&] { ++disposed; });
    retired.retire([&] { ++disposed; });
  }
  EXPECT_EQ(disposed, 2);
}

/// Readers follow a pointer that a writer keeps replacing; under ASan and TSan a premature delete shows.
TEST(Epoch, NothingIsDestroyedUnderAReader) {
  constexpr uint64_t kAlive = 0x600d;
  struct Value {
    uint64_t state = kAlive;
    ~Value() { state = 0xdead; }
  };
  EpochDomain domain;
  RetireList retired(domain);
  std::atomic<Value*> shared = new Value;
  std::atomic<bool> stop = false;
  std::atomic<uint64_t> wrong = 0;

  std::vector<std::jthread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&, sleeps = i == 0] {
      EpochReader reader(domain);
      reader.online();
      while (!stop.load(std::memory_order_relaxed)) {
        for (int reads = 0; reads < 16; ++reads)
          wrong += shared.load(std::memory_order_acquire)->state != kAlive;
        if (sleeps) {
          reader.offline();
          std::this_thread::yield();
          reader.online();
        } else {
          reader.quiescent();
        }
      }
      reader.offline();
    });
  }
  for (int i = 0; i < 20'000; ++i) {
    Value* old = shared.exchange(new Value, std::memory_order_acq_rel);
    retired.retire([old] { delete old; });
    retired.collect();
  }
  stop = true;
  readers.clear();
  retired.collect();
  EXPECT_EQ(retired.pending(), 0u);
  EXPECT_EQ(wrong, 0u);
  delete shared.load();
}

}  // namespace
}  // namespace sluice::store
