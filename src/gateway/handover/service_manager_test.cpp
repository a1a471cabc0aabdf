#include "gateway/handover/service_manager.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace sluice::gateway::handover {
namespace {

/// A service manager that listens at `name`, and what it was told.
std::string told_at(const std::string& name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, name.data(), name.size());
  if (name[0] == '@') address.sun_path[0] = '\0';
  int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  EXPECT_EQ(bind(descriptor, reinterpret_cast<const sockaddr*>(&address), size), 0);
  setenv("NOTIFY_SOCKET", name.c_str(), 1);
  tell_service_manager("MAINPID=12");
  unsetenv("NOTIFY_SOCKET");
  char text[64];
  ssize_t n = recv(descriptor, text, sizeof text, 0);
  close(descriptor);
  return n < 0 ? "nothing" : std::string(text, static_cast<size_t>(n));
}

TEST(ServiceManager, IsToldAtAPathOrAnAbstractName) {
  std::string name = "/tmp/sluice-notify-" + std::to_string(getpid());
  EXPECT_EQ(told_at(name), "MAINPID=12");
  std::filesystem::remove(name);
  EXPECT_EQ(told_at("@sluice-notify-" + std::to_string(getpid())), "MAINPID=12");
}

TEST(ServiceManager, NoneOrANonsensicalOneIsNoTrouble) {
  unsetenv("NOTIFY_SOCKET");
  tell_service_manager("READY=1");
  for (const std::string& name : {std::string(), std::string("x"), std::string("relative/path"),
                                  "/" + std::string(200, 'x'), std::string("/nowhere/at/all")}) {
    setenv("NOTIFY_SOCKET", name.c_str(), 1);
    tell_service_manager("READY=1");
  }
  unsetenv("NOTIFY_SOCKET");
}

}  // namespace
}  // namespace sluice::gateway::handover
