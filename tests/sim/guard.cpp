#include "guard.h"

#include <dlfcn.h>
#include <netdb.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace {

bool armed = false;
sluice::Random* planned = nullptr;  // who asks for randomness gets it from here

void refuse(const char* function) {
  if (!armed) return;
  armed = false;
  char text[128];
  int size = std::snprintf(text, sizeof text, "simulation: somebody called %s during a run\n", function);
  std::ignore = ::write(STDERR_FILENO, text, static_cast<size_t>(size));
  std::abort();
}

/// Libraries with a clock of their own may have one that stands still. nghttp2 bounds the resets of a
/// connection by it: the gateway's bound, on the world's clock, is narrower. OpenSSL has it for the life of
/// certificates and tickets.
bool may_stand_still(const void* caller) {
  Dl_info info{};
  if (dladdr(caller, &info) == 0 || !info.dli_fname) return false;
  for (const char* library : {"libnghttp2", "libssl", "libcrypto"})
    if (std::strstr(info.dli_fname, library)) return true;
  return false;
}

constexpr time_t kStanding = 1000;

}  // namespace

namespace sluice::sim {

GuardedRun::GuardedRun() { armed = true; }
GuardedRun::~GuardedRun() { armed = false; }

PlannedRandomness::PlannedRandomness(uint64_t seed) : random_(seed) { planned = &random_; }
PlannedRandomness::~PlannedRandomness() { planned = nullptr; }

}  // namespace sluice::sim

extern "C" {

int clock_gettime(clockid_t clock, timespec* now) noexcept {
  if (armed && may_stand_still(__builtin_return_address(0))) {
    *now = {kStanding, 0};
    return 0;
  }
  refuse("clock_gettime");
  return static_cast<int>(syscall(SYS_clock_gettime, clock, now));
}

time_t time(time_t* into) noexcept {
  if (armed && may_stand_still(__builtin_return_address(0))) {
    if (into) *into = kStanding;
    return kStanding;
  }
  refuse("time");
  timespec now{};
  syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
  if (into) *into = now.tv_sec;
  return now.tv_sec;
}

int gettimeofday(timeval* now, void*) noexcept {
  refuse("gettimeofday");
  timespec precise{};
  syscall(SYS_clock_gettime, CLOCK_REALTIME, &precise);
  *now = {precise.tv_sec, precise.tv_nsec / 1000};
  return 0;
}

ssize_t getrandom(void* into, size_t size, unsigned flags) {
  if (planned) {
    for (size_t i = 0; i < size; ++i) static_cast<char*>(into)[i] = static_cast<char>(planned->next());
    return static_cast<ssize_t>(size);
  }
  refuse("getrandom");
  return syscall(SYS_getrandom, into, size, flags);
}

int getentropy(void* into, size_t size) {
  refuse("getentropy");
  return syscall(SYS_getrandom, into, size, 0) == static_cast<ssize_t>(size) ? 0 : -1;
}

int getaddrinfo(const char*, const char*, const addrinfo*, addrinfo**) {
  refuse("getaddrinfo");
  return EAI_FAIL;
}

}  // extern "C"
