#include "telemetry/log_writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "telemetry/access_log.h"
#include "telemetry/process_log.h"
#include "telemetry/registry.h"

namespace sluice::telemetry {
namespace {

class LogWriterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/sluice-log-XXXXXX";
    directory = mkdtemp(name);
    path = directory + "/access.log";
  }
  void TearDown() override {
    std::filesystem::remove_all(directory);
    log::set_hook(nullptr);
  }
  static std::string content(const std::string& of) {
    std::stringstream text;
    text << std::ifstream(of).rdbuf();
    return text.str();
  }
  static bool put(LogChannel& channel, std::string_view line, uint32_t times = 1) {
    LogBlock* block = channel.take();
    if (!block) return false;
    for (uint32_t i = 0; i < times; ++i) {
      line.copy(block->bytes + block->used, line.size());
      block->used += line.size();
    }
    block->lines = times;
    channel.give(block);
    return true;
  }
  /// Gives the writer's thread the time it needs, whatever that is; the test's own time-out is the bound.
  template <class Condition>
  static void wait_until(Condition condition) {
    while (!condition()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }

  std::string directory, path;
};

TEST_F(LogWriterTest, EveryWorkersLinesReachTheFileInOrder) {
  constexpr int kWorkers = 3, kLines = 2000;
  {
    auto writer = LogWriter::open(path);
    ASSERT_TRUE(writer.has_value()) << writer.error();
    std::vector<std::thread> workers;
    for (int w = 0; w < kWorkers; ++w)
      workers.emplace_back([&writer, w] {
        auto channel = (*writer)->open_channel();
        for (int i = 0; i < kLines; ++i)
          wait_until([&] { return put(*channel, fmt::format("{} {}\n", w, i)); });
      });
    for (auto& worker : workers) worker.join();
  }
  std::vector<int> next(kWorkers);
  std::ifstream lines(path);
  int worker = 0, number = 0, count = 0;
  while (lines >> worker >> number) {
    EXPECT_EQ(number, next[static_cast<size_t>(worker)]++);
    ++count;
  }
  EXPECT_EQ(count, kWorkers * kLines);
  struct stat status{};
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777 & ~0640u, 0u);
}

TEST_F(LogWriterTest, AppendsAndReopensAfterRotation) {
  std::ofstream(path) << "old\n";
  auto writer = *LogWriter::open(path);
  auto channel = writer->open_channel();
  put(*channel, "one\n");
  wait_until([&] { return content(path) == "old\none\n"; });
  std::filesystem::rename(path, path + ".1");
  put(*channel, "two\n");
  wait_until([&] { return content(path + ".1") == "old\none\ntwo\n"; });
  writer->reopen();
  put(*channel, "three\n");
  wait_until([&] { return content(path) == "three\n"; });
  EXPECT_EQ(content(path + ".1"), "old\none\ntwo\n");
}

TEST_F(LogWriterTest, FileThatCannotBeReopenedLeavesTheOldOneInUse) {
  static std::atomic<int> errors = 0;
  errors = 0;
  log::set_hook([](log::Level level, std::string_view) { errors += level == log::Level::kError; });
  std::string moved = directory + "-moved";
  auto writer = *LogWriter::open(path);
  auto channel = writer->open_channel();
  std::filesystem::rename(directory, moved);
  writer->reopen();
  wait_until([] { return errors == 1; });
  put(*channel, "one\n");
  wait_until([&] { return content(moved + "/access.log") == "one\n"; });
  std::filesystem::remove_all(moved);
}

TEST_F(LogWriterTest, PathThatCannotBeOpenedIsAnError) {
  auto writer = LogWriter::open(directory + "/missing/access.log");
  ASSERT_FALSE(writer.has_value());
  EXPECT_EQ(writer.error(), "cannot open " + directory + "/missing/access.log: No such file or directory");
}

// Contract of the access log: it never blocks a request, and counts what it had to drop.
TEST_F(LogWriterTest, PipeThatNobodyReadsBlocksNoWorker) {
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  int reader = open(path.c_str(), O_RDONLY | O_NONBLOCK);
  ASSERT_GE(reader, 0);
  Registry registry;
  auto family = registry.add_family({.name = "dropped_total", .help = "Dropped."});
  Counter dropped{registry.resolve(family, {})};
  WorkerMetrics& metrics = registry.attach();
  uint64_t lost = 0, written = 0;
  constexpr uint64_t kLines = 50'000;
  {
    auto writer = *LogWriter::open(path, std::chrono::milliseconds(20));
    registry.add_source(dropped, [&] { return lost; });
    {
      AccessLog access(writer->open_channel(), LogFormat::kJson, metrics, dropped);
      for (uint64_t i = 0; i < kLines; ++i) access.write({.path = "/a/path/of/some/length", .status = 200});
    }  // had a write waited, this would never be reached
    // A reader that comes late gets whole lines, as many as there was memory for.
    std::string seen;
    char buffer[65536];
    wait_until([&] {
      ssize_t bytes = read(reader, buffer, sizeof buffer);
      if (bytes > 0) seen.append(buffer, static_cast<size_t>(bytes));
      return seen.size() >= 4 * LogBlock::kBytes;
    });
    writer.reset();  // with the pipe full again: gives up after the drain time
    for (ssize_t bytes; (bytes = read(reader, buffer, sizeof buffer)) > 0;)
      seen.append(buffer, static_cast<size_t>(bytes));
    written = static_cast<uint64_t>(std::ranges::count(seen, '\n'));
  }
  std::string text = registry.scrape();
  uint64_t dropped_lines = std::stoull(text.substr(text.rfind("dropped_total ") + 14));
  EXPECT_GT(dropped_lines, kLines / 2);
  EXPECT_LT(written + dropped_lines, kLines);  // the rest was still with the writer when it gave up
  close(reader);
}

TEST_F(LogWriterTest, DrainTimeBoundsTheEnd) {
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  int reader = open(path.c_str(), O_RDONLY | O_NONBLOCK);
  auto writer = *LogWriter::open(path, std::chrono::milliseconds(1));
  auto channel = writer->open_channel();
  std::string line(1000, 'x');
  line.back() = '\n';
  for (int i = 0; i < 4; ++i) put(*channel, line, 60);
  channel.reset();
  writer.reset();  // returns
  close(reader);
}

TEST_F(LogWriterTest, LinesOfAClosedPipeAreCountedAsLost) {
  static std::atomic<int> errors = 0;
  errors = 0;
  log::set_hook([](log::Level level, std::string_view) { errors += level == log::Level::kError; });
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  int reader = open(path.c_str(), O_RDONLY | O_NONBLOCK);
  auto writer = *LogWriter::open(path);
  auto channel = writer->open_channel();
  close(reader);
  put(*channel, "one\n", 3);
  wait_until([&] { return writer->lost_lines() == 3; });
  put(*channel, "two\n", 2);  // SIGPIPE would have ended the test
  wait_until([&] { return writer->lost_lines() == 5; });
  EXPECT_EQ(errors, 1);  // said once, not for each block
}

// A disk that fills up in the middle of a line (here: the file size limit) costs that line, not the next one.
TEST_F(LogWriterTest, LineAfterABrokenOneStartsAnew) {
  static std::atomic<int> errors = 0;
  errors = 0;
  log::set_hook([](log::Level level, std::string_view) { errors += level == log::Level::kError; });
  auto writer = *LogWriter::open(path);
  auto channel = writer->open_channel();
  auto signal_before = std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  rlimit small{10, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  put(*channel, "123456\n", 2);
  wait_until([&] { return writer->lost_lines() == 1; });
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, signal_before);
  put(*channel, "again\n");
  wait_until([&] { return content(path) == "123456\n123\nagain\n"; });
  EXPECT_EQ(errors, 1);
}

TEST_F(LogWriterTest, StandardOutputThatIsAPipeIsNotMadeNonBlockingForOthers) {
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  int saved = dup(STDOUT_FILENO);
  fflush(stdout);
  dup2(pipe_ends[1], STDOUT_FILENO);
  auto opened = LogWriter::open("stdout");
  int flags = fcntl(STDOUT_FILENO, F_GETFL);
  dup2(saved, STDOUT_FILENO);
  close(saved);
  ASSERT_TRUE(opened.has_value()) << opened.error();
  EXPECT_EQ(flags & O_NONBLOCK, 0);
  put(*(*opened)->open_channel(), "line\n");
  char buffer[16];
  EXPECT_EQ(read(pipe_ends[0], buffer, sizeof buffer), 5);
  close(pipe_ends[0]);
  close(pipe_ends[1]);
}

}  // namespace
}  // namespace sluice::telemetry
