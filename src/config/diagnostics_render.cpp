#include "config/diagnostics.h"
#include "config/json_writer.h"

namespace sluice::config {

namespace {

constexpr std::string_view kSarifSchema = "https://json.schemastore.org/sarif-2.1.0.json";
constexpr size_t kShownWidth = 120;  // characters of a line
constexpr size_t kShownBefore = 60;  // of these, before the caret
constexpr std::string_view kBold = "\x1b[1m";
constexpr std::string_view kRed = "\x1b[1;31m";
constexpr std::string_view kYellow = "\x1b[1;33m";
constexpr std::string_view kGreen = "\x1b[1;32m";
constexpr std::string_view kReset = "\x1b[0m";

std::string_view severity_text(Severity severity) {
  return severity == Severity::kError ? "error" : "warning";
}

/// The characters of a text, each a view of its bytes.
std::vector<std::string_view> characters(std::string_view text, size_t from, size_t count) {
  std::vector<std::string_view> out;
  size_t number = 0;
  for (size_t at = 0; at < text.size() && out.size() < count; ++number) {
    size_t end = at + 1;
    while (end < text.size() && (text[end] & 0xc0) == 0x80) ++end;
    if (number >= from) out.push_back(text.substr(at, end - at));
    at = end;
  }
  return out;
}

bool is_control(std::string_view character) {
  return static_cast<unsigned char>(character[0]) < 0x20 || character[0] == 0x7f;
}

/// The line and under it the caret; a long line is cut to what is around the place.
void append_excerpt(std::string& out, std::string_view line, uint32_t column, uint32_t end_column,
                    bool color) {
  const size_t from = column > kShownBefore + 1 && line.size() > kShownWidth ? column - 1 - kShownBefore : 0;
  const auto shown = characters(line, from, kShownWidth);
  // A place may lie just behind its line: "here something is missing".
  const size_t caret = std::min<size_t>(column - 1 - from, shown.size());
  out += "    ";
  if (from > 0) out += "...";
  for (std::string_view character : shown) {
    if (is_control(character))
      out += character == "\t" ? "\t" : "?";
    else
      out += character;
  }
  out += "\n    ";
  if (from > 0) out += "   ";
  for (size_t i = 0; i < caret; ++i) out += i < shown.size() && shown[i] == "\t" ? '\t' : ' ';
  if (color) out += kGreen;
  out += '^';
  const size_t end = std::min<size_t>(end_column > 0 ? end_column - 1 - from : 0, shown.size());
  for (size_t i = caret + 1; i < end; ++i) out += '~';
  if (color) out += kReset;
  out += '\n';
}

std::string count_text(size_t count, std::string_view what) {
  return std::to_string(count) + " " + std::string(what) + (count == 1 ? "" : "s");
}

}  // namespace

std::string Diagnostics::render_text(bool color) const {
  std::string out;
  for (const Problem& problem : problems_) {
    if (color) out += kBold;
    out += sources_.describe(problem.at) + ": ";
    if (color) out += problem.severity == Severity::kError ? kRed : kYellow;
    out += severity_text(problem.severity);
    out += ": ";
    if (color) out += std::string(kReset) + std::string(kBold);
    out += problem.message;
    if (color) out += kReset;
    out += '\n';
    if (problem.at.known())
      append_excerpt(out, sources_.line(problem.at.file, problem.at.line), problem.at.column,
                     problem.end_column, color);
  }
  if (errors_ + warnings_ == 0) return out;
  if (errors_ > 0) out += count_text(errors_, "error");
  if (errors_ > 0 && warnings_ > 0) out += ", ";
  if (warnings_ > 0) out += count_text(warnings_, "warning");
  if (omitted() > 0) out += " (" + std::to_string(omitted()) + " not shown)";
  out += '\n';
  return out;
}

std::string Diagnostics::render_json() const {
  JsonWriter json;
  json.begin_object();
  json.key("ok").boolean(!has_errors());
  json.key("errors").unsigned_integer(errors_);
  json.key("warnings").unsigned_integer(warnings_);
  json.key("omitted").unsigned_integer(omitted());
  json.key("problems").begin_array();
  for (const Problem& problem : problems_) {
    json.begin_object();
    json.member("severity", severity_text(problem.severity));
    json.member("rule", problem.rule);
    json.member("message", problem.message);
    json.member("file", problem.at.file < sources_.size() ? sources_.name(problem.at.file) : std::string());
    if (problem.at.known()) {
      json.key("line").unsigned_integer(problem.at.line);
      json.key("column").unsigned_integer(problem.at.column);
      if (problem.end_column > 0) json.key("end_column").unsigned_integer(problem.end_column);
    }
    json.end_object();
  }
  json.end_array();
  json.end_object();
  return json.take() + "\n";
}

std::string Diagnostics::render_sarif() const {
  JsonWriter json;
  json.begin_object();
  json.member("$schema", kSarifSchema);
  json.member("version", "2.1.0");
  json.key("runs").begin_array();
  json.begin_object();
  json.key("tool").begin_object();
  json.key("driver").begin_object();
  json.member("name", "sluice");
  json.member("version", SLUICE_VERSION);
  json.key("rules").begin_array();
  std::vector<std::string_view> rules;
  for (const Problem& problem : problems_)
    if (std::ranges::find(rules, problem.rule) == rules.end()) rules.push_back(problem.rule);
  for (std::string_view rule : rules) {
    json.begin_object();
    json.member("id", rule);
    json.end_object();
  }
  json.end_array();
  json.end_object();
  json.end_object();
  json.member("columnKind", "unicodeCodePoints");
  json.key("results").begin_array();
  for (const Problem& problem : problems_) {
    json.begin_object();
    json.member("ruleId", problem.rule);
    json.member("level", severity_text(problem.severity));
    json.key("message").begin_object();
    json.member("text", problem.message);
    json.end_object();
    json.key("locations").begin_array();
    if (problem.at.file < sources_.size()) {
      json.begin_object();
      json.key("physicalLocation").begin_object();
      json.key("artifactLocation").begin_object();
      json.member("uri", sources_.name(problem.at.file));
      json.end_object();
      if (problem.at.known()) {
        json.key("region").begin_object();
        json.key("startLine").unsigned_integer(problem.at.line);
        json.key("startColumn").unsigned_integer(problem.at.column);
        if (problem.end_column > problem.at.column)
          json.key("endColumn").unsigned_integer(problem.end_column);
        json.end_object();
      }
      json.end_object();
      json.end_object();
    }
    json.end_array();
    json.end_object();
  }
  json.end_array();
  json.end_object();
  json.end_array();
  json.end_object();
  return json.take() + "\n";
}

}  // namespace sluice::config
