#include "telemetry/process_log.h"

#include <limits.h>
#include <poll.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>

#include "telemetry/text.h"

namespace sluice::telemetry::log {
namespace {

/// A line, with its newline, is at most what a pipe takes in one piece.
constexpr size_t kLineBytes = PIPE_BUF;
constexpr size_t kMessageBytes = kLineBytes - 96;

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarning:
      return spdlog::level::warn;
    case Level::kError:
      return spdlog::level::err;
    case Level::kOff:
      return spdlog::level::off;
  }
  return spdlog::level::off;
}

std::string_view shown_level(spdlog::level::level_enum level) {
  for (Level ours : {Level::kDebug, Level::kInfo, Level::kWarning, Level::kError})
    if (to_spdlog(ours) == level) return level_text(ours);
  return "info";
}

std::string_view colour_of(spdlog::level::level_enum level) {
  if (level == spdlog::level::err) return "\x1b[31m";
  if (level == spdlog::level::warn) return "\x1b[33m";
  if (level == spdlog::level::debug) return "\x1b[2m";
  return "\x1b[32m";
}

/// `2024-05-06T07:08:09.123Z warning  message`, or one JSON object. The message is escaped in both, so that a
/// line stays one and nothing in it can steer a terminal.
class LineFormatter : public spdlog::formatter {
 public:
  LineFormatter(Format format, bool coloured) : format_(format), coloured_(coloured) {}

  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& to) override {
    char text[kLineBytes];
    char* end = format_ == Format::kJson ? json(text, message) : plain(text, message);
    *end++ = '\n';
    to.append(text, end);
  }
  std::unique_ptr<formatter> clone() const override {
    return std::make_unique<LineFormatter>(format_, coloured_);
  }

 private:
  char* plain(char* to, const spdlog::details::log_msg& message) {
    std::string_view level = shown_level(message.level);
    to = time_.append_rfc3339(to, message.time);
    *to++ = ' ';
    if (coloured_) to = append(to, colour_of(message.level));
    to = append(to, level);
    if (coloured_) to = append(to, "\x1b[0m");
    for (size_t column = level.size(); column < 8; ++column) *to++ = ' ';
    return append_readable(to, {message.payload.data(), message.payload.size()});
  }
  char* json(char* to, const spdlog::details::log_msg& message) {
    to = append(to, R"({"time":")");
    to = time_.append_rfc3339(to, message.time);
    to = append(to, R"(","level":")");
    to = append(to, shown_level(message.level));
    to = append(to, R"(","message":")");
    to = append_escaped(to, {message.payload.data(), message.payload.size()}, kMessageBytes);
    return append(to, R"("})");
  }
  /// Quotes and backslashes as they are, the rest as in JSON.
  static char* append_readable(char* to, std::string_view text) {
    char* stop = to + kMessageBytes;
    for (size_t at = 0; at < text.size();) {
      size_t plain = text.find_first_of("\"\\", at);
      std::string_view piece = text.substr(at, plain - at);
      auto room = static_cast<size_t>(stop - to);
      if (room < 16) break;
      to = append_escaped(to, piece, room - 8);
      if (plain == std::string_view::npos) break;
      *to++ = text[plain];
      at = plain + 1;
    }
    return to;
  }

  Format format_;
  bool coloured_;
  TimeText time_;
};

/// Standard error, never waited for: whoever logs may be a worker. A line that finds no room is lost.
class StandardErrorSink : public spdlog::sinks::base_sink<std::mutex> {
 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    pollfd ready{STDERR_FILENO, POLLOUT, 0};
    if (poll(&ready, 1, 0) != 1 || !(ready.revents & POLLOUT)) return;
    [[maybe_unused]] ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
  }
  void flush_() override {}
};

bool wants_colour(Colour colour) {
  const char* no_color = std::getenv("NO_COLOR");
  return colour == Colour::kAuto && isatty(STDERR_FILENO) && (!no_color || !*no_color);
}

std::unique_ptr<spdlog::logger> make_logger(const Options& options) {
  auto sink = std::make_shared<StandardErrorSink>();
  auto logger = std::make_unique<spdlog::logger>("sluice", std::move(sink));
  logger->set_formatter(std::make_unique<LineFormatter>(options.format, wants_colour(options.colour)));
  logger->set_level(spdlog::level::trace);  // the level was looked at before
  return logger;
}

std::unique_ptr<spdlog::logger>& logger() {
  static auto made = make_logger({});
  return made;
}

std::atomic<Hook> hook = nullptr;

}  // namespace

std::optional<Level> parse_level(std::string_view text) {
  for (Level level : {Level::kDebug, Level::kInfo, Level::kWarning, Level::kError, Level::kOff})
    if (level_text(level) == text) return level;
  return std::nullopt;
}

std::string_view level_text(Level level) {
  switch (level) {
    case Level::kDebug:
      return "debug";
    case Level::kInfo:
      return "info";
    case Level::kWarning:
      return "warning";
    case Level::kError:
      return "error";
    case Level::kOff:
      return "off";
  }
  return {};
}

void configure(const Options& options) {
  detail::threshold.store(options.level, std::memory_order_relaxed);
  logger() = make_logger(options);
}

void set_hook(Hook to) { hook.store(to, std::memory_order_release); }

void detail::write(Level level, fmt::string_view format, fmt::format_args arguments) {
  std::string message = fmt::vformat(format, arguments);
  if (Hook to = hook.load(std::memory_order_acquire))
    to(level, message);
  else
    logger()->log(to_spdlog(level), spdlog::string_view_t(message));
}

}  // namespace sluice::telemetry::log
