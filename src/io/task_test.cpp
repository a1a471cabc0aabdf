#include "io/task.h"

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>

#include "io/scope.h"
#include "io/sim/sim_world.h"
#include "io/sleep.h"

namespace sluice::io {
namespace {

using namespace std::chrono_literals;

Task<int> answer() { co_return 42; }

Task<std::unique_ptr<int>> owned() { co_return std::make_unique<int>(7); }

Task<int> broken() {
  throw std::runtime_error("broken");
  co_return 0;
}

Task<> note(std::string& log, char c) {
  log += c;
  co_return;
}

Task<> use_results(std::string& log) {
  auto number = co_await answer();
  auto pointer = co_await owned();
  log = std::to_string(number) + " " + std::to_string(*pointer);
}

Task<> catch_broken(std::string& log) {
  try {
    co_await broken();
  } catch (const std::runtime_error& error) {
    log = error.what();
  }
}

Task<> many(int& done, int count) {
  for (int i = 0; i < count; ++i) {
    co_await answer();
    ++done;
  }
}

Task<> sleep_then(Loop& loop, Duration duration, CancelToken& token, std::string& log, char c) {
  auto slept = co_await sleep_for(loop, duration, token);
  log += slept ? c : 'x';
}

Task<> yield_then_throw(Loop& loop) {
  co_await loop.yield();
  throw std::runtime_error("child");
}

Task<> join_children(Loop& loop, CancelToken& token, std::string& log) {
  TaskScope children;
  children.spawn(sleep_then(loop, 2s, token, log, 'b'));
  children.spawn(sleep_then(loop, 1s, token, log, 'a'));
  log += '0';
  co_await children.join();
  log += 'j';
}

Task<> join_failing(Loop& loop, CancelToken& token, std::string& log) {
  TaskScope children;
  children.spawn(yield_then_throw(loop));
  children.spawn(sleep_then(loop, 1s, token, log, 'a'));
  try {
    co_await children.join();
  } catch (const std::runtime_error& error) {
    log += error.what();
  }
}

TEST(Task, IsLazy) {
  std::string log;
  {
    auto task = note(log, 'a');
    EXPECT_TRUE(task);
  }
  EXPECT_EQ(log, "");
}

TEST(Task, GivesItsResult) {
  TaskScope scope;
  std::string log;
  scope.spawn(use_results(log));
  EXPECT_EQ(scope.active(), 0u);
  EXPECT_EQ(log, "42 7");
}

TEST(Task, ExceptionReachesWhoAwaits) {
  TaskScope scope;
  std::string log;
  scope.spawn(catch_broken(log));
  EXPECT_EQ(log, "broken");
}

TEST(Task, ManyThatEndAtOnceDoNotGrowTheStack) {
  TaskScope scope;
  int done = 0;
  scope.spawn(many(done, 100'000));
  EXPECT_EQ(done, 100'000);
}

TEST(TaskScope, JoinWaitsForEveryTask) {
  SimWorld world;
  SimLoop& loop = world.add_loop();
  CancelToken token;
  TaskScope scope;
  std::string log;
  scope.spawn(join_children(loop, token, log));
  EXPECT_EQ(log, "0");
  world.run();
  EXPECT_EQ(log, "0abj");
}

TEST(TaskScope, JoinRethrowsOnceAllHaveEnded) {
  SimWorld world;
  SimLoop& loop = world.add_loop();
  CancelToken token;
  TaskScope scope;
  std::string log;
  scope.spawn(join_failing(loop, token, log));
  world.run();
  EXPECT_EQ(log, "achild");
}

}  // namespace
}  // namespace sluice::io
