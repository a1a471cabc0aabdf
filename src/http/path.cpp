#include "http/path.h"

#include "base/ascii.h"

namespace sluice::http {
namespace {

constexpr Error kBadPath{400, "bad_path", "The path has a character that must not stand there.", false};
constexpr Error kBadEscape{400, "bad_escape", "The path has an invalid percent escape.", false};
constexpr Error kAboveRoot{400, "path_above_root", "The path's dot segments lead above the root.", false};
constexpr Error kBadQuery{400, "bad_query", "The query has a character that must not stand there.", false};

/// What a byte of a path asks for.
enum Class : uint8_t {
  kPlain = 0,
  kSlash = 1,
  kDot = 2,
  kEscape = 4,
  kForbidden = 8,
};
constexpr std::array<uint8_t, 256> kClasses = [] {
  std::array<uint8_t, 256> table{};
  for (size_t c = 0; c < 256; ++c) table[c] = c <= 0x20 || c >= 0x7f ? kForbidden : kPlain;
  table['/'] = kSlash;
  table['.'] = kDot;
  table['%'] = kEscape;
  table['\\'] = table['#'] = kForbidden;
  return table;
}();
constexpr uint8_t class_of(char c) { return kClasses[static_cast<uint8_t>(c)]; }

/// RFC 3986, section 2.3.
constexpr bool is_unreserved(char c) {
  return ascii::is_alpha(c) || ascii::is_digit(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

/// Nothing in it is forbidden, escaped, a repeated slash or a segment that starts with a dot.
bool is_plain(std::string_view path) {
  uint8_t before = kPlain;
  uint8_t bad = 0;
  for (char c : path) {
    uint8_t now = class_of(c);
    bad |= (now & (kEscape | kForbidden)) | (before & kSlash & (now | now >> 1));
    before = now;
  }
  return bad == 0;
}

enum class DotSegment : uint8_t { kNo, kHere, kUp };
/// "." and "..", also with path parameters behind them: servers that know parameters cut them off first.
DotSegment dot_segment(std::string_view segment) {
  std::string_view name = segment.substr(0, segment.find(';'));
  if (name == ".") return DotSegment::kHere;
  if (name == "..") return DotSegment::kUp;
  return DotSegment::kNo;
}

/// Decodes what may be decoded into `to`, which has room for `raw`; the number of bytes, or an error.
std::expected<size_t, const Error*> decode(std::string_view raw, char* to, NormalisedPath& seen) {
  constexpr char kHex[] = "0123456789ABCDEF";
  char* at = to;
  for (size_t i = 0; i < raw.size(); ++i) {
    char c = raw[i];
    uint8_t kind = class_of(c);
    if (kind == kForbidden) return std::unexpected(&kBadPath);
    if (kind != kEscape) {
      if (c == '/' && at != to && at[-1] == '/') seen.had_repeated_slash = true;
      *at++ = c;
      continue;
    }
    int high = i + 2 < raw.size() ? ascii::hex_value(raw[i + 1]) : -1;
    int low = i + 2 < raw.size() ? ascii::hex_value(raw[i + 2]) : -1;
    if (high < 0 || low < 0 || (high | low) == 0) return std::unexpected(&kBadEscape);
    char decoded = static_cast<char>(high << 4 | low);
    if (is_unreserved(decoded)) {
      *at++ = decoded;
    } else {
      seen.had_encoded_slash |= decoded == '/' || decoded == '\\';
      *at++ = '%';
      *at++ = kHex[high];
      *at++ = kHex[low];
    }
    i += 2;
  }
  return static_cast<size_t>(at - to);
}

/// Removes dot segments in place (RFC 3986, section 5.2.4, but leaving the root is an error); the new size.
std::expected<size_t, const Error*> resolve_dots(char* path, size_t size) {
  std::string_view all(path, size);
  size_t kept = 0;  // [path, path + kept) is "/a/b" without a slash at its end
  for (size_t at = 0; at < size;) {
    size_t next = std::min(all.find('/', at + 1), size);
    std::string_view segment = all.substr(at + 1, next - at - 1);
    bool last = next == size;
    DotSegment dots = dot_segment(segment);
    if (dots == DotSegment::kNo) {
      std::memmove(path + kept, path + at, next - at);
      kept += next - at;
    } else {
      if (dots == DotSegment::kUp) {
        if (kept == 0) return std::unexpected(&kAboveRoot);
        while (path[--kept] != '/') {
        }
      }
      if (last) path[kept++] = '/';
    }
    at = next;
  }
  return kept;
}

std::string_view merge_slashes(std::string_view path, Arena& arena) {
  char* merged = arena.allocate_chars(path.size());
  size_t size = 0;
  for (char c : path)
    if (c != '/' || size == 0 || merged[size - 1] != '/') merged[size++] = c;
  return {merged, size};
}

}  // namespace

std::expected<NormalisedPath, const Error*> normalise_path(std::string_view raw, Arena& arena) {
  if (raw.empty() || raw.front() != '/') return std::unexpected(&kBadPath);
  NormalisedPath result{.path = raw, .unmerged = raw};
  if (is_plain(raw)) [[likely]]
    return result;

  char* text = arena.allocate_chars(raw.size());
  std::expected<size_t, const Error*> size = decode(raw, text, result);
  if (!size) return std::unexpected(size.error());
  size = resolve_dots(text, *size);
  if (!size) return std::unexpected(size.error());
  result.unmerged = {text, *size};
  if (result.unmerged == raw) result.unmerged = raw;
  result.path = result.had_repeated_slash ? merge_slashes(result.unmerged, arena) : result.unmerged;
  return result;
}

SplitTarget split_target(std::string_view path_and_query) {
  size_t mark = path_and_query.find('?');
  if (mark == std::string_view::npos) return {path_and_query, {}, false};
  return {path_and_query.substr(0, mark), path_and_query.substr(mark + 1), true};
}

const Error* check_query(std::string_view query) {
  bool bad = false;  // no early return, so that the loop is done in vectors
  for (char c : query) {
    auto byte = static_cast<uint8_t>(c);
    bad |= (byte <= 0x20) | (byte >= 0x7f) | (c == '#');
  }
  return bad ? &kBadQuery : nullptr;
}

}  // namespace sluice::http
