// Which back-end a process's event loops run on, and why.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "io/system_loop.h"

namespace sluice::io {

enum class Backend : uint8_t { kEpoll, kUring };
std::string_view backend_name(Backend backend);

enum class BackendWish : uint8_t { kAuto, kEpoll, kUring };

struct BackendChoice {
  Backend backend;
  std::string reason;  // why this one
};

/// Tries what the system has. The error says what is missing for the one that was asked for.
std::expected<BackendChoice, std::string> choose_backend(BackendWish wish);

/// Throws when the system refuses.
std::unique_ptr<SystemLoop> make_loop(Backend backend, uint64_t seed);

struct LoopSet {
  BackendChoice choice;
  std::vector<std::unique_ptr<SystemLoop>> loops;
};
/// One loop for each seed, all of one kind: what suffices for one ring need not suffice for all.
std::expected<LoopSet, std::string> make_loops(BackendWish wish, const std::vector<uint64_t>& seeds);

}  // namespace sluice::io
