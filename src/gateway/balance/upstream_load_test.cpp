#include "gateway/balance/upstream_load.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace sluice::gateway {
namespace {

TEST(UpstreamLoad, TakesAsManyRequestsAsAllowedAndNoMore) {
  UpstreamLoad load;
  UpstreamBounds bounds{.requests = 2, .retries = {}, .retry_share = 1};
  EXPECT_EQ(load.enter(0, bounds), UpstreamLoad::Entry::kIn);
  EXPECT_EQ(load.enter(1, bounds), UpstreamLoad::Entry::kIn);
  EXPECT_EQ(load.enter(2, bounds), UpstreamLoad::Entry::kFull);
  load.leave(0, bounds);
  EXPECT_EQ(load.enter(2, bounds), UpstreamLoad::Entry::kIn);
  EXPECT_EQ(load.requests(), 2);
}

TEST(UpstreamLoad, IsExactWhoeverAsks) {
  UpstreamLoad load;
  UpstreamBounds bounds{.requests = 100, .retries = {}, .retry_share = 1};
  std::atomic<int> in{0};
  std::vector<std::thread> threads;
  for (size_t number = 0; number < 4; ++number)
    threads.emplace_back([&, number] {
      for (int i = 0; i < 1000; ++i) in += load.enter(number, bounds) == UpstreamLoad::Entry::kIn;
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(in, 100);
  EXPECT_EQ(load.requests(), 100);
}

// Envoy, "retry_budget": a share of the requests at once, three at least.
TEST(UpstreamLoad, RetriesAreAShareOfTheRequests) {
  UpstreamLoad load;
  UpstreamBounds bounds{.requests = 0, .retries = {}, .retry_share = 0.2};
  load.enter(0, bounds);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(load.enter_retry(bounds));
  EXPECT_FALSE(load.enter_retry(bounds));
  for (size_t i = 1; i < 50; ++i) load.enter(i, bounds);
  for (int i = 3; i < 10; ++i) EXPECT_TRUE(load.enter_retry(bounds));
  EXPECT_FALSE(load.enter_retry(bounds));
  bounds.retries = 4;
  load.leave_retry();
  EXPECT_FALSE(load.enter_retry(bounds)) << "a bound of its own";
}

TEST(UpstreamPlace, GivesBackWhatItTook) {
  UpstreamLoad load;
  UpstreamBounds bounds{.requests = 1, .retries = {}, .retry_share = 1};
  {
    UpstreamPlace place(load, bounds, 0);
    EXPECT_TRUE(place);
    EXPECT_FALSE(UpstreamPlace(load, bounds, 0));
    EXPECT_TRUE(place.may_retry());
    EXPECT_TRUE(place.may_retry()) << "one request, one retry at once";
    EXPECT_EQ(load.retries(), 1u);
    UpstreamPlace moved(std::move(place));
    EXPECT_EQ(load.requests(), 1);
  }
  EXPECT_EQ(load.requests(), 0);
  EXPECT_EQ(load.retries(), 0u);
  EXPECT_TRUE(UpstreamPlace(load, bounds, 0));
}

}  // namespace
}  // namespace sluice::gateway
