// `${env:NAME}`, `${env:NAME:-default}` and `${file:PATH}` in the strings of a document; `$${` is a plain
// `${`.
#pragma once

#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/arena.h"
#include "base/time.h"
#include "config/diagnostics.h"
#include "config/node.h"

namespace sluice::config {

/// The world outside the documents; functions, so that tests and fuzzers stay hermetic.
struct Environment {
  std::function<std::optional<std::string>(const std::string& name)> variable;
  /// The whole file, or why not. No more than `limit` bytes.
  std::function<std::expected<std::string, std::string>(const std::string& path, size_t limit)> read_file;
  /// Paths that fit a pattern, sorted.
  std::function<std::vector<std::string>(const std::string& pattern)> glob;
  /// For what expires.
  std::function<WallTime()> now = [] { return WallTime(); };

  /// The process's own.
  static Environment system();
  /// Nothing is set and no file exists.
  static Environment empty();
};

struct ReferenceLimits {
  size_t files = 10'000;
  size_t file_bytes = 1 << 20;
  size_t total_bytes = 64 << 20;  // of all that was put in
};

/// Replaces the references in all values (not keys) below `root`; relative paths count from `folder`. The
/// files that were named are added to `files`, whether they could be read or not.
void resolve_references(Node& root, std::string_view folder, const Environment& environment, Arena& arena,
                        Diagnostics& diagnostics, std::vector<std::string>& files,
                        const ReferenceLimits& limits = {});

/// `path` as seen from `folder`.
std::string join_path(std::string_view folder, std::string_view path);
/// The folder a file is in, "." when its name has none.
std::string folder_of(std::string_view path);

}  // namespace sluice::config
