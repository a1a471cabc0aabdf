#include "telemetry/metrics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <thread>
#include <vector>

#include "telemetry/registry.h"

namespace sluice::telemetry {
namespace {

size_t bucket_by_search(int64_t ns) {
  auto value = static_cast<uint64_t>(std::max<int64_t>(ns, 0));
  return static_cast<size_t>(std::lower_bound(kBucketBounds.begin(), kBucketBounds.end(), value) -
                             kBucketBounds.begin());
}

TEST(Buckets, BoundsAreInclusive) {
  for (size_t i = 0; i < kBucketBounds.size(); ++i) {
    auto bound = static_cast<int64_t>(kBucketBounds[i]);
    EXPECT_EQ(bucket_of(Duration(bound)), i);
    EXPECT_EQ(bucket_of(Duration(bound + 1)), i + 1);
    EXPECT_EQ(bucket_of(Duration(bound - 1)), i);
  }
}

TEST(Buckets, AgreeWithASearchThroughTheBounds) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 100'000; ++i) {
    auto ns = static_cast<int64_t>(random() >> (random() % 64));
    ASSERT_EQ(bucket_of(Duration(ns)), bucket_by_search(ns)) << ns;
  }
  for (int64_t ns : {int64_t{0}, int64_t{-5}, INT64_MIN, INT64_MAX, int64_t{1} << 62})
    EXPECT_EQ(bucket_of(Duration(ns)), bucket_by_search(ns)) << ns;
}

TEST(WorkerMetrics, HandleMadeByDefaultCountsNowhere) {
  Registry registry;
  WorkerMetrics& worker = registry.attach();
  registry.add_family({.name = "f_total", .help = "f."});
  worker.add(Counter{});
  worker.observe(Histogram{}, std::chrono::seconds(1));
  worker.add(Gauge{}, -1);
  EXPECT_EQ(registry.scrape(), "# HELP f_total f.\n# TYPE f_total counter\nf_total 0\n");
}

// The rule that the whole design rests on; ThreadSanitizer runs it too.
TEST(WorkerMetrics, SeriesMayBeAddedAndScrapedWhileWorkersCount) {
  constexpr int kWorkers = 3;
  constexpr uint64_t kCounts = 20'000;
  Registry registry;
  auto family =
      registry.add_family({.name = "f_total", .help = "f.", .labels = {"x"}, .max_series = 100'000});
  Counter shared{registry.resolve(family, {"shared"})};
  std::vector<std::thread> threads;
  for (int i = 0; i < kWorkers; ++i)
    threads.emplace_back([&registry, shared, family] {
      WorkerMetrics& mine = registry.attach();
      NamedCounters named(registry, family);
      for (uint64_t n = 0; n < kCounts; ++n) {
        mine.add(shared);
        if (n % 1000 == 0) mine.add(named[n % 2000 == 0 ? "even" : "odd"]);
      }
    });
  for (int i = 0; i < 3000; ++i) {
    registry.resolve(family, {std::to_string(i)});
    if (i % 300 == 0) registry.scrape();
  }
  for (auto& thread : threads) thread.join();
  std::string text = registry.scrape();
  EXPECT_NE(text.find("f_total{x=\"shared\"} 60000\n"), std::string::npos);
  EXPECT_NE(text.find("f_total{x=\"even\"} 30\n"), std::string::npos);
  EXPECT_NE(text.find("f_total{x=\"odd\"} 30\n"), std::string::npos);
}

}  // namespace
}  // namespace sluice::telemetry
