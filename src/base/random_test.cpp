#include "base/random.h"

#include <gtest/gtest.h>

#include <array>
#include <set>

namespace sluice {
namespace {

TEST(Random, SameSeedGivesTheSameNumbersAndAnotherNot) {
  Random first(42);
  Random second(42);
  Random other(43);
  int equal = 0;
  for (int i = 0; i < 1000; ++i) {
    uint64_t number = first.next();
    EXPECT_EQ(number, second.next());
    equal += number == other.next();
  }
  EXPECT_EQ(equal, 0);
}

// xoshiro256** must not begin with all its state zero, whatever the seed.
TEST(Random, SeedOfZeroIsAsGoodAsAny) {
  Random random(0);
  std::set<uint64_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(random.next());
  EXPECT_EQ(seen.size(), 1000u);
}

TEST(Random, BelowStaysBelowAndReachesAll) {
  Random random(7);
  for (uint64_t bound : std::initializer_list<uint64_t>{1, 2, 3, 10, 1ULL << 40, UINT64_MAX})
    for (int i = 0; i < 1000; ++i) EXPECT_LT(random.below(bound), bound);
  std::array<int, 10> counts{};
  for (int i = 0; i < 10'000; ++i) ++counts[random.below(10)];
  // Six standard deviations of a fair draw are 180.
  for (int count : counts) EXPECT_NEAR(count, 1000, 180);
}

TEST(Random, BitsAreFair) {
  Random random(9);
  std::array<int, 64> ones{};
  for (int i = 0; i < 10'000; ++i) {
    uint64_t number = random.next();
    for (size_t bit = 0; bit < 64; ++bit) ones[bit] += number >> bit & 1;
  }
  for (int count : ones) EXPECT_NEAR(count, 5000, 300);
}

}  // namespace
}  // namespace sluice
