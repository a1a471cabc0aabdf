#include "http/h2/frame_scanner.h"

#include <gtest/gtest.h>

#include "http/h2/frame_budget.h"
#include "http/h2/frame_client.h"

namespace sluice::http::h2 {
namespace {

using namespace std::chrono_literals;
using testing::frame;

TEST(FrameScanner, SeesEveryHeadHoweverTheBytesAreSplit) {
  std::string bytes = testing::preface() + testing::post(1, "/") + testing::data(1, std::string(1000, 'x')) +
                      frame(0xff, 0x55, 7) + frame(testing::kPing, 0, 0, "12345678");
  for (size_t piece : {size_t{1}, size_t{3}, size_t{10}, bytes.size()}) {
    FrameScanner scanner(FrameScanner::kPrefaceBytes);
    std::vector<FrameHead> heads;
    for (size_t from = 0; from < bytes.size(); from += piece) {
      std::string_view part = std::string_view(bytes).substr(from, piece);
      for (size_t at = 0; auto head = scanner.next(part, at);) heads.push_back(*head);
    }
    ASSERT_EQ(heads.size(), 6u) << piece;
    EXPECT_EQ(heads[3].length, 1000u);
    EXPECT_EQ(heads[3].stream, 1);
    EXPECT_EQ(heads[4].type, 0xff);
    EXPECT_EQ(heads[4].flags, 0x55);
    EXPECT_EQ(heads[4].stream, 7);
  }
}

TEST(FrameBudget, ABurstIsSpentAndTimeFillsItAgain) {
  constexpr Allowance kAllowance{10, 2};
  Instant start = Instant{} + 5s;
  FrameBudget budget(kAllowance, start);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(budget.spend(kAllowance, start));
  EXPECT_FALSE(budget.spend(kAllowance, start + 400ms));
  EXPECT_TRUE(budget.spend(kAllowance, start + 500ms));
  EXPECT_FALSE(budget.spend(kAllowance, start + 500ms));
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(budget.spend(kAllowance, start + 1h));
  EXPECT_FALSE(budget.spend(kAllowance, start + 1h)) << "never more than the burst";
}

TEST(FrameBudget, UsefulWorkFillsItUpToTheBurst) {
  constexpr Allowance kAllowance{10, 2};
  FrameBudget budget(kAllowance, Instant{});
  budget.earn(kAllowance, 100);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(budget.spend(kAllowance, Instant{}));
  EXPECT_FALSE(budget.spend(kAllowance, Instant{}));
  budget.earn(kAllowance, 1);
  EXPECT_TRUE(budget.spend(kAllowance, Instant{}));
}

}  // namespace
}  // namespace sluice::http::h2
