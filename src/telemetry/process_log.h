// The process's own log, for people: what starts, reloads, fails. One line a message to standard error. Not
// for requests (see access_log.h), and never with a secret, a credential or a body in it.
#pragma once

#include <fmt/core.h>

#include <atomic>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

namespace sluice::telemetry::log {

enum class Level : uint8_t { kDebug, kInfo, kWarning, kError, kOff };
enum class Format : uint8_t { kText, kJson };
enum class Colour : uint8_t { kAuto, kNever };

/// "debug", "info", "warning", "error", "off".
std::optional<Level> parse_level(std::string_view text);
std::string_view level_text(Level level);

struct Options {
  Level level = Level::kInfo;
  Format format = Format::kText;
  Colour colour =
      Colour::kAuto;  // kAuto: standard error is a terminal and NO_COLOR (no-color.org) is unset or empty
};
/// Before other threads log; without it the defaults hold.
void configure(const Options& options);

/// Takes every message instead of standard error (tests; the simulator, whose clock is not the system's).
/// Null: none. `message` is one line without its newline. Before other threads log.
using Hook = void (*)(Level level, std::string_view message);
void set_hook(Hook hook);

namespace detail {
inline std::atomic<Level> threshold = Level::kInfo;
void write(Level level, fmt::string_view format, fmt::format_args arguments);
}  // namespace detail

inline bool enabled(Level level) { return level >= detail::threshold.load(std::memory_order_relaxed); }

template <class... A>
void write(Level level, fmt::format_string<A...> format, A&&... arguments) {
  if (enabled(level)) detail::write(level, format, fmt::make_format_args(arguments...));
}
template <class... A>
void debug(fmt::format_string<A...> format, A&&... arguments) {
  write(Level::kDebug, format, std::forward<A>(arguments)...);
}
template <class... A>
void info(fmt::format_string<A...> format, A&&... arguments) {
  write(Level::kInfo, format, std::forward<A>(arguments)...);
}
template <class... A>
void warning(fmt::format_string<A...> format, A&&... arguments) {
  write(Level::kWarning, format, std::forward<A>(arguments)...);
}
template <class... A>
void error(fmt::format_string<A...> format, A&&... arguments) {
  write(Level::kError, format, std::forward<A>(arguments)...);
}

}  // namespace sluice::telemetry::log
