#include "telemetry/log_destination.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace sluice::telemetry {
namespace {

int standard_stream(std::string_view path) {
  return path == "stdout" ? STDOUT_FILENO : path == "stderr" ? STDERR_FILENO : -1;
}

mode_t type_of(int fd) {
  struct stat status{};
  return fstat(fd, &status) == 0 ? status.st_mode & S_IFMT : 0;
}

}  // namespace

std::expected<std::unique_ptr<LogDestination>, std::string> LogDestination::open(std::string path) {
  std::unique_ptr<LogDestination> destination(new LogDestination(std::move(path)));
  auto opened = destination->open_now();
  if (!opened) return std::unexpected(opened.error());
  return destination;
}

LogDestination::~LogDestination() {
  if (fd_ >= 0) close(fd_);
}

/// O_NONBLOCK belongs to the open file description, which a standard stream shares with other processes. So a
/// pipe or a terminal is opened a second time; where that is forbidden, `write` keeps to pieces that poll has
/// promised room for.
std::expected<void, std::string> LogDestination::open_now() {
  constexpr int kFlags = O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
  int stream = standard_stream(path_);
  int fd = -1;
  Kind kind = Kind::kOwnNonBlocking;
  if (stream >= 0) {
    mode_t type = type_of(stream);
    if (type == S_IFIFO || type == S_IFCHR)
      fd = ::open(fmt::format("/proc/self/fd/{}", stream).c_str(), kFlags);
    if (fd < 0) {
      fd = fcntl(stream, F_DUPFD_CLOEXEC, 0);
      kind = Kind::kSharedBlocking;
    }
  } else {
    fd = ::open(path_.c_str(), kFlags | O_CREAT, 0640);
  }
  if (fd < 0)
    return std::unexpected(fmt::format("cannot open {}: {}", path_, std::generic_category().message(errno)));
  mode_t type = type_of(fd);
  if (type == S_IFREG) kind = Kind::kDisk;
  if (type == S_IFSOCK) kind = Kind::kSocket;
  if (fd_ >= 0) close(fd_);
  fd_ = fd;
  kind_ = kind;
  return {};
}

LogDestination::Written LogDestination::write(std::string_view text) {
  if (kind_ == Kind::kSharedBlocking) {
    pollfd ready{fd_, POLLOUT, 0};
    if (poll(&ready, 1, 0) == 0) return {Status::kNotReady};
    text = text.substr(0, PIPE_BUF);
  }
  while (true) {
    ssize_t bytes = kind_ == Kind::kSocket ? send(fd_, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL)
                                           : ::write(fd_, text.data(), text.size());
    if (bytes > 0) return {Status::kWritten, static_cast<size_t>(bytes)};
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes == 0 || errno == EAGAIN) return {Status::kNotReady};
    return {Status::kFailed, 0, errno};
  }
}

void LogDestination::wait(Duration at_most) {
  pollfd ready{fd_, POLLOUT, 0};
  poll(&ready, 1, static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(at_most).count()));
}

std::expected<void, std::string> LogDestination::reopen() {
  if (standard_stream(path_) >= 0) return {};
  return open_now();
}

}  // namespace sluice::telemetry
