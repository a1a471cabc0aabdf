// From files to a validated document: reads, resolves references and includes, merges, checks everything that
// one struct alone cannot know, and collects all problems on the way.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/diagnostics.h"
#include "config/document.h"
#include "config/policy_entry.h"
#include "config/references.h"

namespace sluice::config {

/// A document to load: a file, or a text with a name for messages (its folder is where relative paths start).
struct Input {
  std::string name;
  std::optional<std::string> text;
};

struct LoadOptions {
  const PolicyCatalog* catalog = nullptr;  // nullptr: there are no policies
  Environment environment = Environment::system();
  size_t max_files = 1000;  // with those that `include` names
  /// An expired certificate is an error, and not a warning: for who asks whether all is well, and not for who
  /// has to go on serving the others.
  bool strict_expiry = false;
};

struct LoadResult {
  Document document;  // means nothing unless `ok()`
  Diagnostics diagnostics;
  std::vector<std::string> files;  // all that were read or tried: documents and `${file:}`; for --watch
  std::vector<std::string> certificate_files;  // likewise: certificates, keys and what belongs to them
  std::vector<std::string> patterns;           // of `include`: a new file may fit one; for --watch too

  bool ok() const { return !diagnostics.has_errors(); }
};

LoadResult load(std::vector<Input> inputs, const LoadOptions& options);
/// Of files.
LoadResult load_files(const std::vector<std::string>& paths, const LoadOptions& options);
/// Of one text, for tests and tools.
LoadResult load_text(std::string_view text, const LoadOptions& options, std::string name = "sluice.yaml");

}  // namespace sluice::config
