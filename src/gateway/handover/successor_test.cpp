// Successors are shell scripts here: what counts is which descriptors they get and what they say.
#include "gateway/handover/successor.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/handover/inherited_sockets.h"
#include "io/epoll/epoll_loop.h"
#include "io/socket.h"
#include "io/stream_fixture.h"

namespace sluice::gateway::handover {
namespace {

using namespace std::chrono_literals;
using Outcome = std::expected<pid_t, std::string>;

class SuccessorTest : public ::testing::Test {
 protected:
  Outcome start(std::string script, size_t sockets = 0, Duration limit = 20s) {
    std::vector<int> given;
    for (size_t i = 0; i < sockets; ++i)
      given.push_back(io::open_listening_socket(io::Address::loopback(0), {}).value());
    given_ = given;
    return run({"sh", "-c", std::move(script)}, std::move(given), limit);
  }
  Outcome run(std::vector<std::string> command, std::vector<int> sockets, Duration limit = 20s) {
    return backend_.await(
        start_successor(backend_.loop, std::move(command), std::move(sockets), limit, token_));
  }
  /// Its exit code.
  static int end_of(const Outcome& successor) {
    int status = 0;
    waitpid(successor.value(), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  io::fixture::EpollBackend backend_;
  io::CancelToken token_;
  std::vector<int> given_;
};

TEST_F(SuccessorTest, IsThereOnceItSaysSo) {
  auto successor = start("printf R >&3; exit 7");
  ASSERT_TRUE(successor) << successor.error();
  EXPECT_EQ(end_of(successor), 7);
}

TEST_F(SuccessorTest, GetsItsSocketsInOrderAndNothingElse) {
  // /proc tells which sockets they are: the last one given is the last of its descriptors.
  auto successor = start(
      "[ \"$SLUICE_HANDOVER\" = 3 ] || exit 1; for fd in 4 5 6; do [ -S /proc/self/fd/$fd ] || exit 2; done;"
      "[ -e /proc/self/fd/7 ] && exit 3; [ -p /proc/self/fd/3 ] || exit 4; printf R >&3; exit 0",
      3);
  ASSERT_TRUE(successor) << successor.error();
  EXPECT_EQ(end_of(successor), 0);
  for (int descriptor : given_) EXPECT_LT(fcntl(descriptor, F_GETFD), 0) << "closed here";
}

TEST_F(SuccessorTest, ManySocketsDoNotOverwriteEachOther) {
  auto successor = start(
      "for fd in $(seq 4 103); do [ -S /proc/self/fd/$fd ] || exit 1; done;"
      "n=$(ls -l /proc/self/fd | grep -o 'socket:.*' | sort -u | wc -l); [ $n = 100 ] || exit 2;"
      "printf R >&3; exit 0",
      100);
  ASSERT_TRUE(successor) << successor.error();
  EXPECT_EQ(end_of(successor), 0);
}

TEST_F(SuccessorTest, BeginsWithTheUsualSignals) {
  sigset_t blocked;
  sigset_t before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &blocked, &before);
  auto successor = start("printf R >&3; kill -TERM $$; exit 1");
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ASSERT_TRUE(successor);
  int status = 0;
  waitpid(*successor, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status));
}

TEST_F(SuccessorTest, OneThatEndsDoesNotTakeOver) {
  auto successor = start("exit 3");
  ASSERT_FALSE(successor);
  EXPECT_EQ(successor.error(), "it ended with exit code 3");
  EXPECT_LT(waitpid(-1, nullptr, WNOHANG), 0) << "reaped";
}

TEST_F(SuccessorTest, OneThatCrashesDoesNotTakeOver) {
  auto successor = start("kill -KILL $$");
  ASSERT_FALSE(successor);
  EXPECT_EQ(successor.error(), "it was ended by signal 9");
}

TEST_F(SuccessorTest, OneThatIsTooLateIsEnded) {
  auto successor = start("exec sleep 1000", 1, 100ms);
  ASSERT_FALSE(successor);
  EXPECT_EQ(successor.error(), "it does not serve after 0 s");
  EXPECT_LT(waitpid(-1, nullptr, WNOHANG), 0) << "reaped";
}

TEST_F(SuccessorTest, IsToldToEndWhenTheGatewayStops) {
  token_.cancel(io::CancelReason::kDrain);
  auto successor = start("exec sleep 1000");
  ASSERT_FALSE(successor);
  EXPECT_EQ(successor.error(), "this process is to stop");
  EXPECT_LT(waitpid(-1, nullptr, WNOHANG), 0) << "reaped";
}

TEST_F(SuccessorTest, AProgramThatIsGoneIsAnError) {
  auto successor = run({"/nowhere/sluice", "run"}, {});
  ASSERT_FALSE(successor);
  EXPECT_EQ(successor.error(), "/nowhere/sluice cannot be run: No such file or directory");
}

}  // namespace
}  // namespace sluice::gateway::handover
