// `sluice doctor`: looks at what the gateway needs from the system, and says what to do about what is
// missing.
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "cli/commands.h"
#include "config/json_writer.h"
#include "io/backend.h"
#include "tls/library.h"
#include "tls/server_context.h"

namespace sluice::cli {

namespace {

enum class State { kFine, kWorth, kBad };

/// What one check has found; `advice` is empty when there is nothing to do.
struct Finding {
  State state;
  std::string what;
  std::string found;
  std::string advice;
};

constexpr rlim_t kFewDescriptors = 65'536;
/// A ring's queues and buffers, by far: newer kernels count some of it against the limit, for each worker.
constexpr rlim_t kLittleLockedMemory = 1 << 20;

std::string limit_text(rlim_t limit) {
  return limit == RLIM_INFINITY ? std::string("unlimited") : std::to_string(limit);
}

Finding check_kernel() {
  utsname name{};
  uname(&name);
  int major = 0;
  std::sscanf(name.release, "%d", &major);
  std::string found = fmt::format("{} {} ({})", name.sysname, name.release, name.machine);
  if (major >= 6) return {State::kFine, "kernel", found, {}};
  return {State::kWorth, "kernel", found,
          "Linux 6.0 or newer has all of io_uring that is used here; older ones work with epoll"};
}

Finding check_descriptors() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  std::string found =
      fmt::format("{} open files, at most {}", limit_text(limit.rlim_cur), limit_text(limit.rlim_max));
  if (limit.rlim_cur >= kFewDescriptors) return {State::kFine, "descriptors", found, {}};
  return {
      State::kWorth, "descriptors", found,
      fmt::format(
          "a client takes one, its request another to the upstream: `ulimit -n {}`, or LimitNOFILE={} in the "
          "systemd unit",
          kFewDescriptors, kFewDescriptors)};
}

Finding check_locked_memory() {
  rlimit limit{};
  getrlimit(RLIMIT_MEMLOCK, &limit);
  std::string found = limit.rlim_cur == RLIM_INFINITY ? std::string("unlimited")
                                                      : fmt::format("{} KiB", limit.rlim_cur / 1024);
  if (limit.rlim_cur >= kLittleLockedMemory) return {State::kFine, "locked memory", found, {}};
  return {State::kWorth, "locked memory", found,
          "io_uring's queues may count against it: `ulimit -l 8192`, or LimitMEMLOCK=8M in the systemd unit"};
}

Finding check_io() {
  auto choice = io::choose_backend(io::BackendWish::kAuto);
  if (!choice) return {State::kBad, "io", choice.error(), "the gateway cannot start"};
  std::string name(io::backend_name(choice->backend));
  if (choice->backend == io::Backend::kUring) return {State::kFine, "io", "`io: auto` takes " + name, {}};
  return {State::kWorth, "io", fmt::format("`io: auto` takes {}: {}", name, choice->reason),
          "epoll serves as well, for some more CPU a request; for io_uring allow the system calls "
          "io_uring_setup, "
          "io_uring_enter and io_uring_register, and set the sysctl kernel.io_uring_disabled to 0"};
}

Finding check_tls() {
  std::string found(tls::library_version());
  if (tls::has_group(tls::kHybridGroup))
    return {State::kFine, "tls", fmt::format("{}, with {}", found, tls::kHybridGroup), {}};
  return {State::kFine, "tls", fmt::format("{}, without {}", found, tls::kHybridGroup),
          "OpenSSL 3.5 has that key exchange, which withstands quantum computers; X25519 is used instead"};
}

std::string_view word_of(State state) {
  switch (state) {
    case State::kFine:
      return "ok";
    case State::kWorth:
      return "note";
    case State::kBad:
      return "bad";
  }
  return {};
}

void tell(const std::vector<Finding>& findings) {
  for (const Finding& finding : findings) {
    fmt::print("{:<5} {:<14} {}\n", word_of(finding.state), finding.what, finding.found);
    if (!finding.advice.empty()) fmt::print("{:<20} {}\n", "", finding.advice);
  }
}

void tell_as_json(const std::vector<Finding>& findings) {
  config::JsonWriter json;
  json.begin_array();
  for (const Finding& finding : findings) {
    json.begin_object();
    json.member("check", finding.what);
    json.member("state", word_of(finding.state));
    json.member("found", finding.found);
    if (!finding.advice.empty()) json.member("advice", finding.advice);
    json.end_object();
  }
  json.end_array();
  std::puts(json.text().c_str());
}

}  // namespace

int doctor(bool json) {
  const std::vector<Finding> findings = {check_kernel(), check_descriptors(), check_locked_memory(),
                                         check_io(), check_tls()};
  (json ? tell_as_json : tell)(findings);
  bool bad = std::ranges::any_of(findings, [](const Finding& each) { return each.state == State::kBad; });
  return bad ? kExitFailed : kExitFine;
}

}  // namespace sluice::cli
