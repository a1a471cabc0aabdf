#include "io/offload.h"

#include <gtest/gtest.h>

#include <latch>
#include <stdexcept>
#include <string>

#include "io/backend.h"
#include "io/scope.h"

namespace sluice::io {
namespace {

class OffloadTest : public ::testing::TestWithParam<Backend> {
 protected:
  /// Until every task of the scope has ended.
  void run() {
    CurrentLoop current(loop_);
    scope_.spawn(stop_at_end());
    loop_.run();
  }
  Task<> stop_at_end() {
    while (scope_.active() > 1) co_await loop_.yield();
    loop_.stop();
  }
  std::unique_ptr<SystemLoop> owned_ = make_loop(GetParam(), 1);
  SystemLoop& loop_ = *owned_;
  TaskScope scope_;
};

Task<> text_of_thread(OffloadPool& pool, Loop& loop, std::string& out, bool& other_thread) {
  std::thread::id here = std::this_thread::get_id();
  auto work = [&, here] {
    other_thread = std::this_thread::get_id() != here;
    return std::string("done");
  };
  auto result = co_await pool.run(loop, work);
  EXPECT_TRUE(result);
  EXPECT_EQ(std::this_thread::get_id(), here);
  out = *result;
}

TEST_P(OffloadTest, WorkRunsElsewhereAndItsAskerGoesOnAtHome) {
  OffloadPool pool(2, 4);
  std::string out;
  bool other_thread = false;
  CurrentLoop current(loop_);
  scope_.spawn(text_of_thread(pool, loop_, out, other_thread));
  run();
  EXPECT_EQ(out, "done");
  EXPECT_TRUE(other_thread);
}

Task<> wait_for(OffloadPool& pool, Loop& loop, std::latch& go, int& done, int& full) {
  auto work = [&go] { go.wait(); };
  auto result = co_await pool.run(loop, work);
  if (result)
    ++done;
  else if (result.error().code == ErrorCode::kFull)
    ++full;
}

TEST_P(OffloadTest, MoreThanTheQueueHoldsIsRefusedAtOnce) {
  OffloadPool pool(1, 2);
  std::latch go(1);
  int done = 0;
  int full = 0;
  CurrentLoop current(loop_);
  for (int i = 0; i < 5; ++i) scope_.spawn(wait_for(pool, loop_, go, done, full));
  EXPECT_EQ(full, 2);  // one is with the thread, two wait
  go.count_down();
  run();
  EXPECT_EQ(done, 3);
}

Task<> one_after_another(OffloadPool& pool, Loop& loop, int& done) {
  for (int i = 0; i < 100; ++i) {
    auto work = [&done] { ++done; };
    auto result = co_await pool.run(loop, work);
    EXPECT_TRUE(result);
  }
}

TEST_P(OffloadTest, WithoutAQueueAnIdleThreadTakesTheJob) {
  OffloadPool pool(1, 0);
  int done = 0;
  CurrentLoop current(loop_);
  scope_.spawn(one_after_another(pool, loop_, done));
  run();
  EXPECT_EQ(done, 100);
}

Task<> expect_throw(OffloadPool& pool, Loop& loop, std::string& what) {
  auto work = []() -> int { throw std::runtime_error("no"); };
  try {
    auto result = co_await pool.run(loop, work);
    std::ignore = result;
  } catch (const std::runtime_error& error) {
    what = error.what();
  }
}

TEST_P(OffloadTest, ExceptionReachesTheAsker) {
  OffloadPool pool(1, 1);
  std::string what;
  CurrentLoop current(loop_);
  scope_.spawn(expect_throw(pool, loop_, what));
  run();
  EXPECT_EQ(what, "no");
}

INSTANTIATE_TEST_SUITE_P(EachBackend, OffloadTest, testing::Values(Backend::kEpoll, Backend::kUring),
                         [](const auto& instance) { return std::string(backend_name(instance.param)); });

}  // namespace
}  // namespace sluice::io
