#include "gateway/router/path_pattern.h"

#include <algorithm>

#include "base/ascii.h"
#include "gateway/router/route_spec.h"
#include "http/path.h"

namespace sluice::gateway {
namespace {

using Kind = PatternSegment::Kind;

bool is_name_character(char c) {
  return ascii::is_alpha(c) || ascii::is_digit(c) || c == '-' || c == '.' || c == '_';
}

std::expected<PatternSegment, std::string> parse_parameter(std::string_view segment) {
  std::string_view name = segment.substr(1, segment.size() - 2);
  Kind kind = Kind::kParameter;
  if (name.ends_with("**")) {
    kind = Kind::kRest;
    name.remove_suffix(2);
  }
  if (name.empty()) return std::unexpected("has a parameter without a name");
  if (name.size() > kMaxParameterNameBytes) return std::unexpected("has a parameter with too long a name");
  if (!std::ranges::all_of(name, is_name_character))
    return std::unexpected("has a parameter whose name is not of letters, digits, `.`, `-` and `_`");
  return PatternSegment{kind, std::string(name)};
}

/// `slash_and_text` is a segment behind its slash.
std::expected<PatternSegment, std::string> parse_literal(std::string_view slash_and_text) {
  if (slash_and_text.find('?') != std::string_view::npos)
    return std::unexpected("has a '?'; a query is a condition");
  Arena arena;
  auto normalised = http::normalise_path(slash_and_text, arena);
  // A dot segment of a request is resolved, with an error above the root; alone it leaves nothing.
  bool dots = normalised ? normalised->path == "/" && slash_and_text != "/"
                         : normalised.error()->code == "path_above_root";
  if (dots) return std::unexpected("has a dot segment, which no request keeps");
  if (!normalised) return std::unexpected("is no path: " + std::string(normalised.error()->detail));
  return PatternSegment{Kind::kLiteral, std::string(normalised->path.substr(1))};
}

std::expected<PatternSegment, std::string> parse_segment(std::string_view slash_and_text) {
  std::string_view segment = slash_and_text.substr(1);
  if (segment == "**") return PatternSegment{Kind::kRest, {}};
  if (segment.size() >= 2 && segment.front() == '{' && segment.back() == '}') return parse_parameter(segment);
  if (segment.find_first_of("{}") != std::string_view::npos)
    return std::unexpected("has a brace inside a segment; a parameter is a whole one");
  if (segment == "*" || segment.find("**") != std::string_view::npos)
    return std::unexpected(
        "has a '*'; one segment is written {name}, the rest {name**} or **, as a whole segment");
  return parse_literal(slash_and_text);
}

/// What holds for the pattern as a whole, once `next` is to be added.
std::string_view check_next(const PathPattern& pattern, const PatternSegment& next) {
  if (!pattern.empty() && pattern.back().kind == Kind::kRest) return "has something behind the rest";
  if (pattern.size() == kMaxPatternSegments) return "has too many segments";
  if (next.kind == Kind::kLiteral || next.text.empty()) return {};
  auto same_name = [&](const PatternSegment& s) { return s.kind != Kind::kLiteral && s.text == next.text; };
  if (std::ranges::any_of(pattern, same_name)) return "names two parameters alike";
  auto is_parameter = [](const PatternSegment& s) { return s.kind != Kind::kLiteral; };
  if (static_cast<size_t>(std::ranges::count_if(pattern, is_parameter)) == kMaxParameters)
    return "has too many parameters";
  return {};
}

}  // namespace

std::expected<PathPattern, std::string> parse_path_pattern(std::string_view path,
                                                           bool keep_repeated_slashes) {
  if (!path.starts_with('/')) return std::unexpected("must start with `/`");
  if (path.size() > kMaxPatternBytes) return std::unexpected("is too long");
  PathPattern pattern;
  for (size_t at = 0; at < path.size();) {
    size_t end = std::min(path.find('/', at + 1), path.size());
    std::string_view slash_and_text = path.substr(at, end - at);
    at = end;
    if (slash_and_text == "/" && at < path.size() && !keep_repeated_slashes) continue;
    auto segment = parse_segment(slash_and_text);
    if (!segment) return std::unexpected(std::move(segment.error()));
    if (std::string_view problem = check_next(pattern, *segment); !problem.empty())
      return std::unexpected(std::string(problem));
    pattern.push_back(std::move(*segment));
  }
  return pattern;
}

}  // namespace sluice::gateway
