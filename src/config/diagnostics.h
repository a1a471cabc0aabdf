// Problems found in a configuration: collected with their place, all in one run, and rendered for people (the
// offending line with a caret), as JSON, or as SARIF 2.1.0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/node.h"

namespace sluice::config {

/// The texts that were read, by number; a diagnostic shows lines of them.
class Sources {
 public:
  uint32_t add(std::string name, std::string text);
  size_t size() const { return files_.size(); }
  const std::string& name(uint32_t file) const { return files_[file].name; }
  std::string_view text(uint32_t file) const { return files_[file].text; }
  /// The line without its end; empty when there is none. Lines count from 1.
  std::string_view line(uint32_t file, uint32_t line) const;
  /// "file:line:column", or the file's name alone when the place is not known.
  std::string describe(const Position& at) const;

 private:
  struct File {
    std::string name;
    std::string text;
  };
  std::vector<File> files_;
};

enum class Severity : uint8_t { kError, kWarning };

struct Problem {
  Position at;
  uint32_t end_column = 0;  // one behind the last; 0: not known
  Severity severity = Severity::kError;
  std::string rule;  // stable, for programs: "unknown-key"
  std::string message;
};

class Diagnostics {
 public:
  static constexpr size_t kMaxProblems = 100;

  Sources& sources() { return sources_; }
  const Sources& sources() const { return sources_; }

  void report(Problem problem);
  void error(const Node& at, std::string_view rule, std::string message);
  void error(const Position& at, std::string_view rule, std::string message);
  void warning(const Node& at, std::string_view rule, std::string message);
  void warning(const Position& at, std::string_view rule, std::string message);

  /// In the order of files, lines and columns once sorted.
  std::span<const Problem> problems() const { return problems_; }
  bool has_errors() const { return errors_ > 0; }
  size_t error_count() const { return errors_; }
  size_t warning_count() const { return warnings_; }
  /// Counted, but beyond the bound and not kept.
  size_t omitted() const { return errors_ + warnings_ - problems_.size(); }
  void sort();

  /// `file:line:column: error: message`, the line, a caret; one after another, with a closing count.
  std::string render_text(bool color = false) const;
  std::string render_json() const;
  std::string render_sarif() const;

 private:
  Sources sources_;
  std::vector<Problem> problems_;
  size_t errors_ = 0;
  size_t warnings_ = 0;
};

/// The candidate nearest to `name` by edit distance, or empty when none is near enough to be meant.
std::string_view nearest(std::string_view name, std::span<const std::string_view> candidates);
/// "; did you mean `x`?", or empty: for the end of a message.
std::string suggest(std::string_view name, std::span<const std::string_view> candidates);

}  // namespace sluice::config
