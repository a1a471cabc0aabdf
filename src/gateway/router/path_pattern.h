// A configured path taken apart: segments that are literal, `{name}` or, last, `{name**}` or `**`.
//
// Literals become what a normalised request path would have there (contract: "Paths"): unreserved escapes
// decoded, hex upper-cased, `%2F` and `%5C` left as they are. What could never match a request is refused:
// dot segments, raw backslashes, '#', '?', spaces, controls and non-ASCII bytes, bad escapes.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::gateway {

struct PatternSegment {
  enum class Kind : uint8_t { kLiteral, kParameter, kRest };
  Kind kind = Kind::kLiteral;
  std::string text;  // the normalised literal, or the name; empty for `**`
};
using PathPattern = std::vector<PatternSegment>;

inline constexpr size_t kMaxPatternBytes = 8 * 1024;
inline constexpr size_t kMaxParameterNameBytes = 64;

/// "/" is one empty segment. The error is the end of a sentence that starts with the path: "must start with
/// '/'".
std::expected<PathPattern, std::string> parse_path_pattern(std::string_view path, bool keep_repeated_slashes);

}  // namespace sluice::gateway
