#include "gateway/handover/inherited_sockets.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <optional>
#include <utility>

#include "io/socket.h"

namespace sluice::gateway::handover {

namespace {

int option_of(int descriptor, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  if (getsockopt(descriptor, SOL_SOCKET, name, &value, &size) < 0) return -1;
  return value;
}

/// Nothing: no socket that a gateway listens on.
std::optional<SocketKind> kind_of(int descriptor) {
  int family = option_of(descriptor, SO_DOMAIN);
  if (family != AF_INET && family != AF_INET6) return std::nullopt;
  int type = option_of(descriptor, SO_TYPE);
  if (type == SOCK_DGRAM) return SocketKind::kDatagrams;
  if (type != SOCK_STREAM || option_of(descriptor, SO_ACCEPTCONN) != 1) return std::nullopt;
  return option_of(descriptor, SO_REUSEPORT) == 1 ? SocketKind::kShared : SocketKind::kAlone;
}

/// Of ours from now on: closed on exec, and never waited for.
void keep(int descriptor) {
  fcntl(descriptor, F_SETFD, FD_CLOEXEC);
  fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK);
}

bool is_pipe(int descriptor) {
  int flags = fcntl(descriptor, F_GETFL);
  return flags >= 0 && (flags & O_ACCMODE) == O_WRONLY;
}

}  // namespace

std::expected<size_t, std::string> parse_socket_count(std::string_view text) {
  size_t count = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc() || end != text.data() + text.size() || count > kMostSockets)
    return std::unexpected(fmt::format("{} is not a number up to {}", kVariable, kMostSockets));
  return count;
}

InheritedSockets::~InheritedSockets() {
  close_rest();
  if (pipe_ >= 0) close(pipe_);
}

std::expected<void, std::string> InheritedSockets::take_from_environment() {
  const char* value = getenv(kVariable);
  if (!value) return {};
  auto count = parse_socket_count(value);
  unsetenv(kVariable);
  if (!count) return std::unexpected(std::move(count.error()));
  return adopt(kFirstDescriptor, *count);
}

std::expected<void, std::string> InheritedSockets::adopt(int first, size_t count) {
  if (!is_pipe(first))
    return std::unexpected(fmt::format("descriptor {} is no pipe to a predecessor", first));
  pipe_ = first;
  keep(pipe_);
  for (size_t i = 0; i < count; ++i) {
    int descriptor = first + 1 + static_cast<int>(i);
    auto kind = kind_of(descriptor);
    if (!kind) return std::unexpected(fmt::format("descriptor {} is no listening socket", descriptor));
    keep(descriptor);
    sockets_.push_back({*kind, io::local_address(descriptor), descriptor});
  }
  return {};
}

std::vector<int> InheritedSockets::take(SocketKind kind, const io::Address& address, size_t number) {
  std::lock_guard lock(mutex_);
  std::vector<int> taken;
  size_t turn = 0;
  for (Socket& socket : sockets_) {
    if (socket.kind != kind || socket.address != address) continue;
    if (turn++ % workers_ == number && socket.descriptor >= 0)
      taken.push_back(std::exchange(socket.descriptor, -1));
  }
  return taken;
}

void InheritedSockets::report_ready() {
  if (!any()) return;
  close_rest();
  // It may be gone: then nobody waits for it.
  [[maybe_unused]] ssize_t written = write(pipe_, &kReady, 1);
  close(std::exchange(pipe_, -1));
}

void InheritedSockets::close_rest() {
  std::lock_guard lock(mutex_);
  for (Socket& socket : sockets_)
    if (socket.descriptor >= 0) close(socket.descriptor);
  sockets_.clear();
}

}  // namespace sluice::gateway::handover
