// The access log of a run, taken apart.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "run.h"

namespace sluice::sim {

class LogLine {
 public:
  explicit LogLine(std::string_view json);
  /// Of a text or a number; empty: it is not there.
  std::string_view text(std::string_view key) const;
  double number(std::string_view key) const;
  std::string_view json() const { return json_; }

 private:
  std::string_view json_;
  std::vector<std::pair<std::string_view, std::string_view>> members_;
};

class LogLines {
 public:
  /// Views of `log`.
  LogLines(std::string_view log, Violations& violations);
  const LogLine* find(std::string_view id) const;
  const std::vector<LogLine>& lines() const { return lines_; }

 private:
  std::vector<LogLine> lines_;
  std::map<std::string_view, size_t> by_id_;
};

/// Each answer against its line.
void check_log(const RunView& run, const LogLines& log, Violations& violations);

}  // namespace sluice::sim
