#include "gateway/router/path_pattern.h"

#include <algorithm>

#include "base/ascii.h"
#include "gateway/router/route_spec.h"

namespace sluice::gateway {
namespace {

using Kind = PatternSegment::Kind;

/// RFC 3986, section 2.3.
bool is_unreserved(char c) {
  return ascii::is_alpha(c) || ascii::is_digit(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

bool is_name_character(char c) { return is_unreserved(c) && c != '~'; }

/// `.` and `..`, also with the `;...` behind that some servers drop before they resolve.
bool is_dot_segment(std::string_view segment) {
  std::string_view name = segment.substr(0, segment.find(';'));
  return name == "." || name == "..";
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
    return std::unexpected("has a parameter whose name is not of letters, digits, '.', '-' and '_'");
  return PatternSegment{kind, std::string(name)};
}

std::expected<PatternSegment, std::string> parse_segment(std::string_view segment) {
  if (segment == "**") return PatternSegment{Kind::kRest, {}};
  if (segment.size() >= 2 && segment.front() == '{' && segment.back() == '}') return parse_parameter(segment);
  if (segment.find_first_of("{}") != std::string_view::npos)
    return std::unexpected("has a brace inside a segment; a parameter is a whole one");
  if (segment == "*" || segment.find("**") != std::string_view::npos)
    return std::unexpected(
        "has a '*'; one segment is written {name}, the rest {name**} or **, as a whole segment");
  auto literal = normalise_literal(segment);
  if (!literal) return std::unexpected(std::move(literal.error()));
  return PatternSegment{Kind::kLiteral, std::move(*literal)};
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

std::expected<std::string, std::string> normalise_literal(std::string_view segment) {
  std::string out;
  out.reserve(segment.size());
  for (size_t i = 0; i < segment.size(); ++i) {
    char c = segment[i];
    if (c == '%') {
      int high = i + 2 < segment.size() ? ascii::hex_value(segment[i + 1]) : -1;
      int low = i + 2 < segment.size() ? ascii::hex_value(segment[i + 2]) : -1;
      if (high < 0 || low < 0) return std::unexpected("has a '%' without two hexadecimal digits");
      char decoded = static_cast<char>(high * 16 + low);
      if (decoded == '\0') return std::unexpected("has %00, which no request may have");
      if (is_unreserved(decoded)) {
        out += decoded;
      } else {
        out += '%';
        out += "0123456789ABCDEF"[high];
        out += "0123456789ABCDEF"[low];
      }
      i += 2;
    } else if (static_cast<unsigned char>(c - '!') > '~' - '!' || c == '\\' || c == '#' || c == '?') {
      return std::unexpected("has a character that must be percent-encoded");
    } else {
      out += c;
    }
  }
  if (is_dot_segment(out)) return std::unexpected("has a dot segment, which no request keeps");
  return out;
}

std::expected<PathPattern, std::string> parse_path_pattern(std::string_view path,
                                                           bool keep_repeated_slashes) {
  if (!path.starts_with('/')) return std::unexpected("must start with '/'");
  if (path.size() > kMaxPatternBytes) return std::unexpected("is too long");
  PathPattern pattern;
  for (size_t at = 0; at < path.size();) {
    size_t end = std::min(path.find('/', at + 1), path.size());
    std::string_view text = path.substr(at + 1, end - at - 1);
    at = end;
    if (text.empty() && at < path.size() && !keep_repeated_slashes) continue;
    auto segment = parse_segment(text);
    if (!segment) return std::unexpected(std::move(segment.error()));
    if (std::string_view problem = check_next(pattern, *segment); !problem.empty())
      return std::unexpected(std::string(problem));
    pattern.push_back(std::move(*segment));
  }
  return pattern;
}

}  // namespace sluice::gateway
