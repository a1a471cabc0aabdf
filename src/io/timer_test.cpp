#include "io/timer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "base/random.h"

namespace sluice::io {
namespace {

using namespace std::chrono_literals;

class Recorded final : public Timer {
 public:
  std::vector<int>* log = nullptr;
  int id = 0;
  int fired = 0;

 private:
  void on_timer() override {
    ++fired;
    if (log) log->push_back(id);
  }
};

Instant at(Duration since_start) { return Instant(since_start); }

TEST(TimerWheel, EmptyWheelIsNeverDue) {
  TimerWheel wheel;
  EXPECT_EQ(wheel.next_due(), kNever);
  wheel.advance(at(1h));
  EXPECT_EQ(wheel.next_due(), kNever);
}

TEST(TimerWheel, NeverFiresEarlyAndAtMostOneTickLate) {
  for (Duration delay : {1ns, 999'999ns, 1'000'000ns, 1'000'001ns, 63'000'001ns, 64'000'000ns}) {
    TimerWheel wheel;
    Recorded timer;
    wheel.arm(timer, at(delay));
    wheel.advance(at(delay - 1ns));
    EXPECT_EQ(timer.fired, 0) << delay.count();
    wheel.advance(at(delay + TimerWheel::kTick));
    EXPECT_EQ(timer.fired, 1) << delay.count();
    EXPECT_FALSE(timer.armed());
  }
}

TEST(TimerWheel, DisarmedTimerDoesNotFire) {
  TimerWheel wheel;
  Recorded timer;
  wheel.arm(timer, at(5ms));
  timer.disarm();
  EXPECT_EQ(wheel.next_due(), kNever);
  wheel.advance(at(1s));
  EXPECT_EQ(timer.fired, 0);
}

TEST(TimerWheel, RearmedTimerFiresOnceAtTheNewDeadline) {
  TimerWheel wheel;
  Recorded timer;
  wheel.arm(timer, at(5ms));
  wheel.arm(timer, at(10s));
  wheel.advance(at(9s));
  EXPECT_EQ(timer.fired, 0);
  wheel.advance(at(11s));
  EXPECT_EQ(timer.fired, 1);
}

class Disarming final : public Timer {
 public:
  explicit Disarming(Timer& other) : other_(other) {}

 private:
  void on_timer() override { other_.disarm(); }
  Timer& other_;
};

TEST(TimerWheel, TimerMayDisarmAnotherThatIsDue) {
  TimerWheel wheel;
  Recorded second;
  Disarming first(second);
  wheel.arm(first, at(5ms));
  wheel.arm(second, at(5ms));
  wheel.advance(at(6ms));
  EXPECT_EQ(second.fired, 0);
}

TEST(TimerWheel, DeadlineBeyondTheSpanIsKept) {
  TimerWheel wheel;
  Recorded timer;
  Duration delay = 24h * 365 * 5;
  wheel.arm(timer, at(delay));
  for (Instant next = wheel.next_due(); next < at(delay); next = wheel.next_due()) {
    wheel.advance(next);
    ASSERT_EQ(timer.fired, 0);
  }
  wheel.advance(at(delay + TimerWheel::kTick));
  EXPECT_EQ(timer.fired, 1);
}

// The clock is the machine's uptime, which may well pass 2^36 ms.
TEST(TimerWheel, ShortDeadlineAcrossTheSpansEndIsPunctual) {
  TimerWheel wheel;
  Recorded timer;
  Duration span = TimerWheel::kTick * (int64_t{1} << 36);
  wheel.advance(at(span - 5ms));
  wheel.arm(timer, at(span + 5ms));
  EXPECT_LE(wheel.next_due(), at(span + 5ms));
  wheel.advance(at(span + 6ms));
  EXPECT_EQ(timer.fired, 1);
}

/// Against a plain list of deadlines: in every jump exactly those fire that are due, whatever was armed,
/// re-armed and disarmed in between, from any start.
TEST(TimerWheel, AgreesWithAPlainList) {
  struct Case {
    Duration start;
    Duration longest_delay;
    Duration longest_jump;
  };
  const Duration kSpan = TimerWheel::kTick * (int64_t{1} << 36);
  const Case kCases[] = {
      {0ms, 200ms, 5ms},
      {0ms, 10min, 1min},
      {12345678ms, 30h, 10min},
      {kSpan - 1h, 3h, 2min},
      {kSpan - 24h * 30, 24h * 1500, 24h * 5},
      {1234ms, 24h * 2000, 24h * 40},
  };
  constexpr int kTimers = 60;
  for (const Case& c : kCases) {
    Random random(static_cast<uint64_t>(c.start.count()) + 17);
    TimerWheel wheel;
    std::vector<Recorded> timers(kTimers);
    std::vector<int> fired;
    for (int i = 0; i < kTimers; ++i) {
      timers[static_cast<size_t>(i)].id = i;
      timers[static_cast<size_t>(i)].log = &fired;
    }
    std::vector<Instant> deadlines(kTimers, kNever);
    auto upto = [&](Duration most) { return Duration(random.below(static_cast<uint64_t>(most.count()))); };
    Instant now = at(c.start);
    wheel.advance(now);
    for (int step = 0; step < 1500; ++step) {
      for (int change = 0; change < 4; ++change) {
        size_t i = random.below(kTimers);
        if (random.below(4) == 0) {
          timers[i].disarm();
          deadlines[i] = kNever;
        } else {
          // Half of them short: most delays in a gateway are.
          Duration delay =
              upto(random.below(2) ? c.longest_delay : std::min(c.longest_delay, Duration(100ms)));
          deadlines[i] = now + delay;
          wheel.arm(timers[i], deadlines[i]);
        }
      }
      Instant earliest = *std::ranges::min_element(deadlines);
      if (earliest != kNever) {
        ASSERT_LE(wheel.next_due(), earliest + TimerWheel::kTick);
      }
      now += upto(c.longest_jump);
      fired.clear();
      wheel.advance(now);
      for (int id : fired) {
        size_t i = static_cast<size_t>(id);
        ASSERT_LE(deadlines[i], now) << "fired early, or twice";
        deadlines[i] = kNever;
      }
      for (Instant deadline : deadlines) ASSERT_GT(deadline, now - TimerWheel::kTick) << "fired late";
    }
  }
}

}  // namespace
}  // namespace sluice::io
