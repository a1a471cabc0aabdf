#include "gateway/connection_limits.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "base/random.h"

namespace sluice::gateway {
namespace {

using Verdict = ConnectionLimits::Verdict;

io::Address at(std::string_view text) { return io::Address::parse_ip(text, 4000).value(); }

TEST(ConnectionLimitsTest, TheTotalIsExactAndAPlaceThatIsGivenBackIsTakenAgain) {
  ConnectionLimits limits(7);
  ConnectionBounds bounds{.total = 2};
  EXPECT_EQ(limits.admit(at("10.0.0.1"), bounds, false), Verdict::kAdmitted);
  EXPECT_EQ(limits.admit(at("10.0.0.2"), bounds, false), Verdict::kAdmitted);
  EXPECT_EQ(limits.admit(at("10.0.0.3"), bounds, false), Verdict::kTotal);
  EXPECT_EQ(limits.total(), 2u);
  limits.release(at("10.0.0.1"));
  EXPECT_EQ(limits.admit(at("10.0.0.3"), bounds, false), Verdict::kAdmitted);
}

TEST(ConnectionLimitsTest, AClientIsAnIpv4AddressOrAnIpv6NetworkOf64Bits) {
  struct Row {
    const char* first;
    const char* second;
    bool same;
  };
  for (const Row& row : std::initializer_list<Row>{{"10.0.0.1", "10.0.0.1", true},
                                                   {"10.0.0.1", "10.0.0.2", false},
                                                   {"10.0.0.1", "::ffff:10.0.0.1", true},
                                                   {"2001:db8:0:1::1", "2001:db8:0:1:ffff::2", true},
                                                   {"2001:db8:0:1::1", "2001:db8:0:2::1", false},
                                                   {"0.0.0.0", "::", false}}) {
    ConnectionLimits limits(7);
    ConnectionBounds bounds{.per_address = 1};
    EXPECT_EQ(limits.admit(at(row.first), bounds, false), Verdict::kAdmitted) << row.first;
    EXPECT_EQ(limits.admit(at(row.second), bounds, false), row.same ? Verdict::kAddress : Verdict::kAdmitted)
        << row.first << " then " << row.second;
  }
}

TEST(ConnectionLimitsTest, WhoIsExemptIsCountedAndNotBoundByAddress) {
  ConnectionLimits limits(7);
  ConnectionBounds bounds{.total = 3, .per_address = 1};
  EXPECT_EQ(limits.admit(at("10.0.0.1"), bounds, true), Verdict::kAdmitted);
  EXPECT_EQ(limits.admit(at("10.0.0.1"), bounds, true), Verdict::kAdmitted);
  EXPECT_EQ(limits.admit(at("10.0.0.1"), bounds, false), Verdict::kAddress);
  EXPECT_EQ(limits.admit(at("10.0.0.1"), bounds, true), Verdict::kAdmitted);
  EXPECT_EQ(limits.admit(at("10.0.0.1"), bounds, true), Verdict::kTotal);
}

// A reload may bring a limit that is exceeded already: those that are there stay, no other comes.
TEST(ConnectionLimitsTest, ALowerLimitHoldsForThoseThatCome) {
  ConnectionLimits limits(7);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(limits.admit(at("10.0.0.1"), {}, false), Verdict::kAdmitted);
  ConnectionBounds bounds{.per_address = 3};
  EXPECT_EQ(limits.admit(at("10.0.0.1"), bounds, false), Verdict::kAddress);
  for (int i = 0; i < 3; ++i) limits.release(at("10.0.0.1"));
  EXPECT_EQ(limits.admit(at("10.0.0.1"), bounds, false), Verdict::kAdmitted);
  EXPECT_EQ(limits.admit(at("10.0.0.1"), bounds, false), Verdict::kAddress);
}

TEST(ConnectionLimitsTest, TheDescriptorsBoundTheTotalWhateverIsConfigured) {
  ConnectionLimits limits(7);
  limits.set_ceiling(1);
  EXPECT_EQ(limits.admit(at("10.0.0.1"), {.total = 5}, false), Verdict::kAdmitted);
  EXPECT_EQ(limits.admit(at("10.0.0.1"), {.total = 5}, false), Verdict::kDescriptors);
  EXPECT_EQ(limits.admit(at("10.0.0.1"), {}, false), Verdict::kDescriptors);
}

TEST(ConnectionLimitsTest, ThreadsNeverHoldMoreThanTheLimitsAndLeaveNothing) {
  ConnectionLimits limits(7);
  constexpr ConnectionBounds kBounds{.total = 12, .per_address = 5};
  std::atomic<int> held{0};
  std::array<std::atomic<int>, 4> held_by{};
  std::atomic<bool> exceeded{false};
  auto work = [&](uint64_t seed) {
    Random random(seed);
    for (int i = 0; i < 20'000; ++i) {
      size_t who = random.below(4);
      io::Address peer = io::Address::loopback(1);
      peer.bytes[3] = static_cast<uint8_t>(who + 1);
      if (limits.admit(peer, kBounds, false) != Verdict::kAdmitted) continue;
      if (++held > 12 || ++held_by[who] > 5) exceeded = true;
      --held_by[who];
      --held;
      limits.release(peer);
    }
  };
  std::vector<std::thread> threads;
  for (uint64_t i = 0; i < 4; ++i) threads.emplace_back(work, i);
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(exceeded);
  EXPECT_EQ(limits.total(), 0u);
}

}  // namespace
}  // namespace sluice::gateway
