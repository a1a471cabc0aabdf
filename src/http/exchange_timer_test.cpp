#include "http/exchange_timer.h"

#include <gtest/gtest.h>

#include "io/sim/sim_world.h"

namespace sluice::http {
namespace {

using namespace std::chrono_literals;
using Waiting = TransferWatch::Waiting;

class ExchangeTimerTest : public ::testing::Test {
 protected:
  io::SimWorld world;
  io::SimLoop& loop = world.add_loop();
  io::CancelToken token;
  ExchangeTimer timer{loop, token};
};

TEST_F(ExchangeTimerTest, PhaseThatTakesTooLongCancels) {
  timer.begin(Phase::kHead, 10s);
  world.run_for(9999ms);
  EXPECT_FALSE(token.cancelled());
  world.run_for(2ms);
  EXPECT_EQ(token.reason(), io::CancelReason::kDeadline);
  EXPECT_EQ(timer.expired(), Phase::kHead);
}

TEST_F(ExchangeTimerTest, LaterPhaseReplacesTheEarlierLimit) {
  timer.begin(Phase::kHead, 10s);
  world.run_for(5s);
  timer.begin(Phase::kKeepAlive, 75s);
  world.run_for(74s);
  EXPECT_FALSE(token.cancelled());
  world.run_for(2s);
  EXPECT_EQ(timer.expired(), Phase::kKeepAlive);
}

TEST_F(ExchangeTimerTest, ShorterPhaseIsNotKeptWaitingByALongerOne) {
  timer.begin(Phase::kKeepAlive, 75s);
  timer.begin(Phase::kHead, 10s);
  world.run_for(11s);
  EXPECT_EQ(timer.expired(), Phase::kHead);
}

TEST_F(ExchangeTimerTest, ZeroIsNoLimit) {
  timer.begin(Phase::kHead, 0s);
  world.run_for(24h);
  EXPECT_FALSE(token.cancelled());
}

TEST_F(ExchangeTimerTest, EndedPhaseAndResetTimeNothing) {
  timer.begin(Phase::kHead, 10s);
  timer.end_phase();
  timer.set_total(loop.now() + 20s);
  timer.reset();
  world.run_for(1h);
  EXPECT_FALSE(token.cancelled());
}

TEST_F(ExchangeTimerTest, TotalCountsAcrossPhases) {
  timer.set_total(loop.now() + 20s);
  for (int i = 0; i < 3; ++i) {
    timer.begin(Phase::kUpstreamHead, 10s);
    world.run_for(6s);
  }
  EXPECT_FALSE(token.cancelled());
  timer.end_phase();
  world.run_for(3s);
  EXPECT_EQ(timer.expired(), Phase::kTotal);
}

TEST_F(ExchangeTimerTest, OnlyASourceThatIsWaitedForCanBeTooSlow) {
  TransferWatch watch({.interval = 1s, .source_bytes = 100}, nullptr);
  timer.watch_upload(watch);
  watch.waiting = Waiting::kSink;
  world.run_for(1min);
  EXPECT_FALSE(token.cancelled());
  watch.waiting = Waiting::kSource;
  for (int i = 0; i < 10; ++i) {
    watch.source_moved += 100;
    world.run_for(1s);
  }
  EXPECT_FALSE(token.cancelled());
  watch.source_moved += 99;
  world.run_for(3s);
  EXPECT_EQ(timer.expired(), Phase::kUpload);
  EXPECT_EQ(watch.stalled(), Waiting::kSource);
}

TEST_F(ExchangeTimerTest, IdleSourceOfADownload) {
  TransferWatch watch({.interval = 1s, .source_idle = 30s}, nullptr);
  timer.watch_download(watch);
  watch.waiting = Waiting::kSource;
  world.run_for(20s);
  ++watch.source_moved;
  world.run_for(29s);
  EXPECT_FALSE(token.cancelled());
  world.run_for(3s);
  EXPECT_EQ(timer.expired(), Phase::kDownload);
  EXPECT_EQ(watch.stalled(), Waiting::kSource);
}

TEST_F(ExchangeTimerTest, UnwatchedTransferIsNotLookedAt) {
  TransferWatch watch({.interval = 1s, .source_idle = 3s}, nullptr);
  timer.watch_download(watch);
  watch.waiting = Waiting::kSource;
  world.run_for(2s);
  timer.unwatch_download();
  world.run_for(1h);
  EXPECT_FALSE(token.cancelled());
}

TEST_F(ExchangeTimerTest, BothDirectionsAreWatchedAtOnce) {
  TransferWatch up({.interval = 1s, .source_idle = 5s}, nullptr);
  TransferWatch down({.interval = 1s, .source_idle = 60s}, nullptr);
  timer.watch_upload(up);
  timer.watch_download(down);
  up.waiting = down.waiting = Waiting::kSource;
  world.run_for(7s);
  EXPECT_EQ(timer.expired(), Phase::kUpload);
}

}  // namespace
}  // namespace sluice::http
