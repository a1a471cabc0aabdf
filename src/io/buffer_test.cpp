#include "io/buffer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string_view>
#include <vector>

#include "io/read_size.h"

namespace sluice::io {
namespace {

Lease lease_of(BufferPool& pool, std::string_view text) {
  Buffer* buffer = pool.take(false);
  std::memcpy(buffer->data(), text.data(), text.size());
  return {buffer, static_cast<uint32_t>(text.size())};
}

TEST(ReadSize, FullReadsAskForLargeBuffersUntilReadsAreSmallForAWhile) {
  constexpr uint32_t kFull = BufferPool::kSmallBytes;
  struct Case {
    std::string_view what;
    std::vector<uint32_t> reads;
    bool large;
  };
  for (const Case& each : {
           Case{"at first", {}, false},
           Case{"one full read may be the whole of it", {kFull}, false},
           Case{"two in a row", {kFull, kFull}, true},
           Case{"a full one and its little rest, again and again", {kFull, 14, kFull, 14, kFull}, true},
           Case{"the rest of a body says nothing", {kFull, kFull, kFull / 2, kFull / 2, kFull / 2}, true},
           Case{"small again", {kFull, kFull, 100, 100}, false},
           Case{"small ones alone", {100, 100, 100, kFull}, false},
       }) {
    ReadSize size;
    for (uint32_t bytes : each.reads) size.note(bytes, kFull);
    EXPECT_EQ(size.large(), each.large) << each.what;
  }
}

TEST(BufferPool, LendsTwoSizesAndCountsThem) {
  BufferPool pool;
  Buffer* small = pool.take(false);
  Buffer* large = pool.take(true);
  EXPECT_EQ(small->capacity, BufferPool::kSmallBytes);
  EXPECT_EQ(large->capacity, BufferPool::kLargeBytes);
  std::memset(small->data(), 1, small->capacity);
  std::memset(large->data(), 2, large->capacity);
  EXPECT_EQ(pool.lent(), 2u);
  pool.give_back(large);
  pool.give_back(small);
  EXPECT_EQ(pool.lent(), 0u);
}

TEST(BufferPool, LastOneGivenBackIsTakenFirst) {
  BufferPool pool;
  Buffer* first = pool.take(false);
  Buffer* second = pool.take(false);
  pool.give_back(first);
  pool.give_back(second);
  EXPECT_EQ(pool.take(false), second);
  EXPECT_EQ(pool.take(false), first);
  pool.give_back(first);
  pool.give_back(second);
}

TEST(BufferPool, SizesAreNotMixed) {
  BufferPool pool;
  Buffer* large = pool.take(true);
  pool.give_back(large);
  Buffer* small = pool.take(false);
  EXPECT_NE(small, large);
  EXPECT_EQ(small->capacity, BufferPool::kSmallBytes);
  pool.give_back(small);
}

TEST(BufferPool, MoreThanItKeepsMayBeGivenBack) {
  BufferPool pool;
  std::vector<Buffer*> taken(BufferPool::kKept + 3);
  for (Buffer*& buffer : taken) buffer = pool.take(false);
  for (Buffer* buffer : taken) pool.give_back(buffer);
  EXPECT_EQ(pool.lent(), 0u);
  // What was kept comes again, each once.
  std::vector<Buffer*> again(BufferPool::kKept);
  for (Buffer*& buffer : again) buffer = pool.take(false);
  std::ranges::sort(again);
  EXPECT_EQ(std::ranges::unique(again).size(), 0u);
  for (Buffer* buffer : again) pool.give_back(buffer);
}

TEST(Lease, GivesItsBufferBackOnce) {
  BufferPool pool;
  {
    Lease lease = lease_of(pool, "abc");
    EXPECT_EQ(pool.lent(), 1u);
    EXPECT_EQ(lease.bytes(), "abc");
    Lease moved = std::move(lease);
    EXPECT_TRUE(lease.empty());
    EXPECT_EQ(moved.bytes(), "abc");
    moved.release();
    EXPECT_EQ(pool.lent(), 0u);
    EXPECT_TRUE(moved.empty());
    moved.release();
  }
  EXPECT_EQ(pool.lent(), 0u);
}

TEST(Lease, AssigningGivesBackWhatWasThere) {
  BufferPool pool;
  Lease lease = lease_of(pool, "one");
  lease = lease_of(pool, "two");
  EXPECT_EQ(pool.lent(), 1u);
  EXPECT_EQ(lease.bytes(), "two");
  Lease& itself = lease;
  lease = std::move(itself);
  EXPECT_EQ(lease.bytes(), "two");
  lease = Lease();
  EXPECT_EQ(pool.lent(), 0u);
}

TEST(Lease, ConsumingForgetsFromTheFront) {
  BufferPool pool;
  Lease lease = lease_of(pool, "headbody");
  lease.consume(4);
  EXPECT_EQ(lease.bytes(), "body");
  EXPECT_EQ(lease.size(), 4u);
  lease.consume(4);
  EXPECT_TRUE(lease.empty());
  EXPECT_EQ(pool.lent(), 1u) << "an empty lease still holds its buffer";
}

TEST(Lease, WithoutABufferIsEmpty) {
  Lease lease;
  EXPECT_TRUE(lease.empty());
  EXPECT_EQ(lease.bytes(), "");
}

}  // namespace
}  // namespace sluice::io
