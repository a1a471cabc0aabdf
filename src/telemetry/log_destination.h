// An open place to write log text to, that never keeps its caller waiting longer than asked: a file, a pipe,
// a terminal or a socket.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>

#include "base/time.h"

namespace sluice::telemetry {

class LogDestination {
 public:
  /// "stdout", "stderr", or a file that is created with mode 0640 and appended to. The error is a sentence.
  static std::expected<std::unique_ptr<LogDestination>, std::string> open(std::string path);
  LogDestination(const LogDestination&) = delete;
  LogDestination& operator=(const LogDestination&) = delete;
  ~LogDestination();

  enum class Status : uint8_t { kWritten, kNotReady, kFailed };
  struct Written {
    Status status;
    size_t bytes = 0;  // with kWritten; at least one
    int error = 0;     // errno, with kFailed
  };
  /// Writes as much as goes without waiting (to a file on disk: all of it).
  Written write(std::string_view text);
  /// Until `write` may go on, at most so long.
  void wait(Duration at_most);
  /// Opens a file by its path again; a standard stream stays what it is.
  std::expected<void, std::string> reopen();

  const std::string& path() const { return path_; }

 private:
  enum class Kind : uint8_t { kDisk, kSocket, kOwnNonBlocking, kSharedBlocking };

  explicit LogDestination(std::string path) : path_(std::move(path)) {}
  std::expected<void, std::string> open_now();

  std::string path_;
  int fd_ = -1;
  Kind kind_ = Kind::kDisk;
};

}  // namespace sluice::telemetry
