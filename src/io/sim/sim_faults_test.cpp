#include "io/sim/sim_faults.h"

#include <gtest/gtest.h>

#include <set>

namespace sluice::io {
namespace {

using namespace std::chrono_literals;

TEST(SimFaults, EachKindHasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (size_t i = 0; i < kFaultKinds; ++i) names.insert(fault_name(static_cast<FaultKind>(i)));
  EXPECT_EQ(names.size(), kFaultKinds);
  EXPECT_FALSE(names.contains("unknown"));
}

TEST(SimFaults, MoodsOfTheNetworkHarmNobody) {
  for (FaultKind kind :
       {FaultKind::kLatency, FaultKind::kJitter, FaultKind::kPartialTransfer, FaultKind::kFullBuffer})
    EXPECT_EQ(fault_reach(kind), FaultReach::kNothing) << fault_name(kind);
  for (FaultKind kind :
       {FaultKind::kReset, FaultKind::kHalfClose, FaultKind::kStall, FaultKind::kAcceptFailure,
        FaultKind::kConnectRefused, FaultKind::kDnsSlow, FaultKind::kOffloadSlow})
    EXPECT_EQ(fault_reach(kind), FaultReach::kConnection) << fault_name(kind);
  for (FaultKind kind : {FaultKind::kClockJump, FaultKind::kNoDescriptors, FaultKind::kWorkerStarved})
    EXPECT_EQ(fault_reach(kind), FaultReach::kWorld) << fault_name(kind);
}

TEST(SimFaults, SeedsDrawMixturesOfTheirOwn) {
  std::array<int, kFaultKinds> with{};
  int without = 0;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    SimFaults faults = SimFaults::draw(seed);
    SimFaults again = SimFaults::draw(seed);
    bool any = false;
    for (size_t i = 0; i < kFaultKinds; ++i) {
      auto kind = static_cast<FaultKind>(i);
      EXPECT_EQ(faults[kind].per_million, again[kind].per_million);
      EXPECT_EQ(faults[kind].up_to, again[kind].up_to);
      EXPECT_LE(faults[kind].per_million, 1'000'000u);
      any |= faults[kind].per_million > 0;
      with[i] += faults[kind].per_million > 0;
    }
    without += !any;
  }
  EXPECT_GT(without, 5);
  EXPECT_LT(without, 100);
  for (size_t i = 0; i < kFaultKinds; ++i) {
    EXPECT_GT(with[i], 40) << fault_name(static_cast<FaultKind>(i));
    EXPECT_LT(with[i], 360) << fault_name(static_cast<FaultKind>(i));
  }
}

TEST(FaultLog, KeepsWhatHarmsAndWhen) {
  FaultLog log;
  Instant start{10s};
  Address there = Address::loopback(80);
  log.add({.kind = FaultKind::kJitter, .connection = 1, .from = start, .until = start, .to = there});
  log.add({.kind = FaultKind::kReset, .connection = 2, .from = start + 5s, .until = start + 5s, .to = there});
  log.add({.kind = FaultKind::kWorkerStarved, .from = start + 6s, .until = start + 8s});
  EXPECT_EQ(log.drawn(FaultKind::kJitter), 1u);
  EXPECT_EQ(log.drawn(FaultKind::kReset), 1u);
  EXPECT_EQ(log.drawn(FaultKind::kStall), 0u);
  EXPECT_EQ(log.records().size(), 2u);
  EXPECT_FALSE(log.connection_harmed(there, start, start + 4s));
  EXPECT_TRUE(log.connection_harmed(there, start, start + 5s));
  EXPECT_FALSE(log.connection_harmed(Address::loopback(81), start, start + 9s));
  EXPECT_FALSE(log.world_harmed(start, start + 5s));
  EXPECT_TRUE(log.world_harmed(start + 7s, start + 7s));
  EXPECT_TRUE(log.world_harmed(start + 8s, start + 9s));
  EXPECT_FALSE(log.world_harmed(start + 9s, start + 10s));
}

}  // namespace
}  // namespace sluice::io
