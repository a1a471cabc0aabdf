#include "gateway/service_targets.h"

#include <gtest/gtest.h>

#include <map>

namespace sluice::gateway {
namespace {

using Records = std::vector<io::ServiceRecord>;

class ServiceTargetsTest : public ::testing::Test {
 protected:
  explicit ServiceTargetsTest(TargetService service = {.name = "_u._tcp.test", .base_path = "/base"}) {
    UpstreamParts parts;
    config::TargetUrl url;
    url.host = "10.0.0.1";
    parts.targets.push_back(
        {.identity = registry_.find_or_make("u", url), .authority = "10.0.0.1:80", .base_path = {}});
    parts.services.push_back(std::move(service));
    upstream_ =
        std::make_unique<Upstream>("u", config::Upstream{}, std::move(parts), telemetry::UpstreamMetrics{});
  }
  const TargetList& take(const Records& records) {
    TargetList list = with_records(*upstream_, 0, in_order(records), registry_);
    auto old = upstream_->replace_view(upstream_->make_view(std::move(list), Instant{}));
    return upstream_->view().targets;
  }
  /// By authority: "priority*weight", of those from the service.
  std::map<std::string, std::string> shares() const {
    std::map<std::string, std::string> out;
    for (const TargetPointer& target : upstream_->view().targets)
      if (target && target->service == 0)
        out[target->authority] = std::to_string(target->priority) + "*" + std::to_string(target->weight);
    return out;
  }
  using Shares = std::map<std::string, std::string>;

  TargetRegistry registry_;
  std::unique_ptr<Upstream> upstream_;
};

TEST(ServiceRecords, HaveAnOrderOfTheirOwnAndNoServerTwice) {
  Records records{{20, "b", 2, 9}, {10, "b", 1, 1}, {10, "a", 1, 1}, {5, "b", 2, 0}};
  Records ordered{{5, "b", 2, 0}, {10, "a", 1, 1}, {10, "b", 1, 1}};
  EXPECT_EQ(in_order(records), ordered);
  std::ranges::reverse(records);
  EXPECT_EQ(in_order(records), ordered);
}

// RFC 2782: the lowest priority first, whatever the numbers; weights as they are.
TEST_F(ServiceTargetsTest, PrioritiesBecomeRanksAndWeightsWeights) {
  take({{100, "a.test", 1, 3}, {100, "b.test", 1, 1}, {2000, "c.test", 7, 5}});
  EXPECT_EQ(shares(), (Shares{{"a.test:1", "0*3"}, {"b.test:1", "0*1"}, {"c.test:7", "1*5"}}));
  EXPECT_EQ(upstream_->view().targets[1]->base_path, "/base");
}

// RFC 2782: beside others a weight of 0 has "a very small chance of being selected"; alone they are equal.
TEST_F(ServiceTargetsTest, AWeightOfZeroIsASmallChanceBesideOthersOnly) {
  take({{1, "a.test", 1, 2}, {1, "b.test", 1, 0}, {2, "c.test", 1, 0}, {2, "d.test", 1, 0}});
  EXPECT_EQ(shares(),
            (Shares{{"a.test:1", "0*200"}, {"b.test:1", "0*1"}, {"c.test:1", "1*1"}, {"d.test:1", "1*1"}}));
}

TEST_F(ServiceTargetsTest, WhoStaysKeepsIdentityAndNumberAndOthersTakeTheFreeOnes) {
  TargetList first = take({{1, "a.test", 1, 1}, {1, "b.test", 1, 1}, {1, "c.test", 1, 1}});
  ASSERT_EQ(first.size(), 4u);
  EXPECT_EQ(first[0]->authority, "10.0.0.1:80") << "one that is written stays as it is";
  TargetList second = take({{1, "a.test", 1, 1}, {1, "c.test", 1, 9}});
  ASSERT_EQ(second.size(), 4u);
  EXPECT_EQ(second[2], nullptr);
  EXPECT_EQ(second[3]->identity, first[3]->identity);
  EXPECT_EQ(second[3]->weight, 9u);
  TargetList third =
      take({{1, "0.test", 1, 1}, {1, "a.test", 1, 1}, {1, "c.test", 1, 9}, {1, "d.test", 1, 1}});
  ASSERT_EQ(third.size(), 5u);
  for (uint16_t i = 0; i < 5; ++i) EXPECT_EQ(third[i]->number, i);
  EXPECT_EQ(third[2]->authority, "0.test:1");
  EXPECT_EQ(third[4]->authority, "d.test:1");
  EXPECT_EQ(take({{1, "a.test", 1, 1}}).size(), 2u);
}

TEST_F(ServiceTargetsTest, AVacantNumberIsNeverChosen) {
  take({{1, "a.test", 1, 1}, {1, "b.test", 1, 1}, {1, "c.test", 1, 1}});
  take({{1, "c.test", 1, 1}});
  Random random{1};
  std::map<std::string, int> chosen;
  for (int i = 0; i < 10; ++i) ++chosen[upstream_->choose({.random = random})->authority];
  EXPECT_EQ(chosen, (std::map<std::string, int>{{"10.0.0.1:80", 5}, {"c.test:1", 5}}));
}

// A client has a target in hand when DNS takes it away.
TEST_F(ServiceTargetsTest, ATargetLivesAsLongAsSomebodyUsesIt) {
  take({{1, "a.test", 1, 1}});
  Random random{1};
  TargetPointer used;
  while (!used || used->service != 0) used = upstream_->choose({.random = random});
  std::weak_ptr<TargetIdentity> identity = used->identity;
  take({{1, "b.test", 1, 1}});
  EXPECT_EQ(used->authority, "a.test:1");
  used.reset();
  EXPECT_TRUE(identity.expired());
}

class WeighedService : public ServiceTargetsTest {
 protected:
  WeighedService()
      : ServiceTargetsTest({.name = "_u._tcp.test", .base_path = {}, .weight = 10, .priority = 3}) {}
};

TEST_F(WeighedService, TheDocumentsWeightAndPriorityCountToo) {
  take({{7, "a.test", 1, 3}, {7, "b.test", 1, 65535}, {9, "c.test", 1, 0}});
  EXPECT_EQ(shares(), (Shares{{"a.test:1", "3*30"}, {"b.test:1", "3*655350"}, {"c.test:1", "4*10"}}));
}

}  // namespace
}  // namespace sluice::gateway
