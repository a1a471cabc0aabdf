#include "config/diagnostics.h"

#include "base/ascii.h"

namespace sluice::config {

uint32_t Sources::add(std::string name, std::string text) {
  files_.push_back({std::move(name), std::move(text)});
  return static_cast<uint32_t>(files_.size() - 1);
}

std::string_view Sources::line(uint32_t file, uint32_t line) const {
  if (file >= files_.size() || line == 0) return {};
  std::string_view rest = files_[file].text;
  for (uint32_t i = 1; i < line; ++i) {
    auto end = rest.find('\n');
    if (end == rest.npos) return {};
    rest.remove_prefix(end + 1);
  }
  rest = rest.substr(0, rest.find('\n'));
  if (rest.ends_with('\r')) rest.remove_suffix(1);
  return rest;
}

std::string Sources::describe(const Position& at) const {
  std::string out = at.file < files_.size() ? files_[at.file].name : std::string("configuration");
  if (at.known()) out += ":" + std::to_string(at.line) + ":" + std::to_string(at.column);
  return out;
}

void Diagnostics::report(Problem problem) {
  // Names out of a document may hold escape sequences for a terminal.
  for (char& c : problem.message)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  ++(problem.severity == Severity::kError ? errors_ : warnings_);
  if (problems_.size() < kMaxProblems) {
    problems_.push_back(std::move(problem));
    return;
  }
  // Warnings give way, so that an error is never hidden by them.
  if (problem.severity != Severity::kError) return;
  auto warning = std::ranges::find(problems_, Severity::kWarning, &Problem::severity);
  if (warning != problems_.end()) *warning = std::move(problem);
}

void Diagnostics::error(const Node& at, std::string_view rule, std::string message) {
  report({at.at, at.end_column, Severity::kError, std::string(rule), std::move(message)});
}
void Diagnostics::error(const Position& at, std::string_view rule, std::string message) {
  report({at, 0, Severity::kError, std::string(rule), std::move(message)});
}
void Diagnostics::warning(const Node& at, std::string_view rule, std::string message) {
  report({at.at, at.end_column, Severity::kWarning, std::string(rule), std::move(message)});
}
void Diagnostics::warning(const Position& at, std::string_view rule, std::string message) {
  report({at, 0, Severity::kWarning, std::string(rule), std::move(message)});
}

void Diagnostics::sort() {
  std::ranges::sort(problems_, {}, [](const Problem& problem) {
    return std::tie(problem.at.file, problem.at.line, problem.at.column, problem.rule, problem.message);
  });
}

namespace {

constexpr size_t kMaxNameLength = 64;

/// Edits (insert, delete, replace, swap neighbours), case ignored: optimal string alignment.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::array<std::array<size_t, kMaxNameLength + 1>, 3> rows{};
  for (size_t j = 0; j <= b.size(); ++j) rows[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    auto& row = rows[i % 3];
    const auto& above = rows[(i - 1) % 3];
    const auto& two_above = rows[(i + 1) % 3];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const char x = ascii::lower(a[i - 1]);
      const char y = ascii::lower(b[j - 1]);
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (x == y ? 0 : 1)});
      if (i > 1 && j > 1 && x == ascii::lower(b[j - 2]) && ascii::lower(a[i - 2]) == y)
        row[j] = std::min(row[j], two_above[j - 2] + 1);
    }
  }
  return rows[a.size() % 3][b.size()];
}

}  // namespace

std::string_view nearest(std::string_view name, std::span<const std::string_view> candidates) {
  if (name.empty() || name.size() > kMaxNameLength) return {};
  std::string_view best;
  size_t best_distance = name.size() <= 2 ? 1 : std::max<size_t>(2, name.size() / 3);
  ++best_distance;
  for (std::string_view candidate : candidates) {
    if (candidate.size() > kMaxNameLength) continue;
    const size_t length_gap =
        candidate.size() > name.size() ? candidate.size() - name.size() : name.size() - candidate.size();
    if (length_gap >= best_distance) continue;
    const size_t distance = edit_distance(name, candidate);
    // Something of the name must remain.
    if (distance < best_distance && distance < std::max(name.size(), candidate.size())) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

std::string suggest(std::string_view name, std::span<const std::string_view> candidates) {
  const std::string_view best = nearest(name, candidates);
  return best.empty() ? std::string() : "; did you mean `" + std::string(best) + "`?";
}

}  // namespace sluice::config
