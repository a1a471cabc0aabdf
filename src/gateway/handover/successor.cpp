#include "gateway/handover/successor.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <string_view>

#include "gateway/handover/inherited_sockets.h"
#include "io/sleep.h"

namespace sluice::gateway::handover {

namespace {

/// Between looks at a process that starts or ends: nothing tells of both its pipe and its end.
constexpr Duration kLook = std::chrono::milliseconds(20);
/// How long one that came too late has for the connections that it may have accepted.
constexpr Duration kEndTime = std::chrono::seconds(10);

struct Descriptors {
  std::vector<int> all;
  ~Descriptors() {
    for (int each : all) close(each);
  }
};

struct Spawned {
  pid_t process;
  int pipe;  // it reports here
};

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> environment_for(size_t sockets) {
  std::vector<std::string> environment;
  for (char** each = environ; *each; ++each) environment.emplace_back(*each);
  environment.push_back(fmt::format("{}={}", kVariable, sockets));
  return environment;
}

/// Runs `command` with `given` as its descriptors from kFirstDescriptor on.
std::expected<pid_t, int> run(std::vector<std::string>& command, const std::vector<int>& given) {
  std::vector<std::string> environment = environment_for(given.size() - 1);
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&files);
  posix_spawnattr_init(&attributes);
  for (size_t i = 0; i < given.size(); ++i)
    posix_spawn_file_actions_adddup2(&files, given[i], kFirstDescriptor + static_cast<int>(i));
  posix_spawn_file_actions_addclosefrom_np(&files, kFirstDescriptor + static_cast<int>(given.size()));
  // The gateway blocks and ignores signals; a new one begins as a shell would start it.
  sigset_t none;
  sigset_t usual;
  sigemptyset(&none);
  sigemptyset(&usual);
  sigaddset(&usual, SIGPIPE);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &usual);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  pid_t process = 0;
  int failure = posix_spawnp(&process, command.front().c_str(), &files, &attributes,
                             pointers_to(command).data(), pointers_to(environment).data());
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  if (failure) return std::unexpected(failure);
  return process;
}

std::expected<Spawned, std::string> spawn(std::vector<std::string>& command, std::vector<int> sockets) {
  Descriptors originals{std::move(sockets)};
  int pipe[2];
  if (pipe2(pipe, O_CLOEXEC | O_NONBLOCK) < 0)
    return std::unexpected(fmt::format("no pipe: {}", std::strerror(errno)));
  originals.all.insert(originals.all.begin(), pipe[1]);
  // Duplicates beyond where they go to, so that none is overwritten before its turn.
  Descriptors given;
  int beyond = kFirstDescriptor + static_cast<int>(originals.all.size());
  for (int original : originals.all) {
    int duplicate = fcntl(original, F_DUPFD_CLOEXEC, beyond);
    if (duplicate < 0) {
      close(pipe[0]);
      return std::unexpected(fmt::format("no descriptor: {}", std::strerror(errno)));
    }
    given.all.push_back(duplicate);
  }
  auto process = run(command, given.all);
  if (process) return Spawned{*process, pipe[0]};
  close(pipe[0]);
  return std::unexpected(
      fmt::format("{} cannot be run: {}", command.front(), std::strerror(process.error())));
}

/// How it has ended; nothing while it lives.
std::optional<std::string> end_of(pid_t process) {
  int status = 0;
  if (waitpid(process, &status, WNOHANG) != process) return std::nullopt;
  if (WIFSIGNALED(status)) return fmt::format("it was ended by signal {}", WTERMSIG(status));
  return fmt::format("it ended with exit code {}", WEXITSTATUS(status));
}

bool reports_ready(int pipe) {
  char said = 0;
  return read(pipe, &said, 1) == 1 && said == kReady;
}

io::Task<> end(io::Loop& loop, pid_t process) {
  io::CancelToken patience;
  for (int signal : {SIGTERM, SIGKILL}) {
    kill(process, signal);
    for (Instant limit = loop.now() + kEndTime; loop.now() < limit;) {
      if (end_of(process)) co_return;
      auto slept = co_await io::sleep_for(loop, kLook, patience);
      std::ignore = slept;
    }
  }
}

}  // namespace

io::Task<std::expected<pid_t, std::string>> start_successor(io::Loop& loop, std::vector<std::string> command,
                                                            std::vector<int> sockets, Duration limit,
                                                            io::CancelToken& token) {
  auto spawned = spawn(command, std::move(sockets));
  if (!spawned) co_return std::unexpected(std::move(spawned.error()));
  Descriptors pipe{{spawned->pipe}};
  for (Instant latest = loop.now() + limit; loop.now() < latest;) {
    if (reports_ready(spawned->pipe)) co_return spawned->process;
    if (auto ended = end_of(spawned->process)) co_return std::unexpected(std::move(*ended));
    auto slept = co_await io::sleep_for(loop, kLook, token);
    if (!slept) break;
  }
  co_await end(loop, spawned->process);
  if (token.cancelled()) co_return std::unexpected("this process is to stop");
  co_return std::unexpected(fmt::format("it does not serve after {} s",
                                        std::chrono::duration_cast<std::chrono::seconds>(limit).count()));
}

}  // namespace sluice::gateway::handover
