#include "http/problem.h"

#include "http/message.h"

namespace sluice::http {
namespace {

/// The bytes of the UTF-8 sequence at the start of `text`, or 0 when it is none (RFC 3629, section 4).
size_t utf8_sequence(std::string_view text) {
  auto byte = [&](size_t i) { return i < text.size() ? static_cast<uint8_t>(text[i]) : uint8_t{0}; };
  auto follows = [&](size_t i) { return (byte(i) & 0xc0) == 0x80; };
  uint8_t first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return follows(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    if ((first == 0xe0 && byte(1) < 0xa0) || (first == 0xed && byte(1) > 0x9f)) return 0;
    return follows(1) && follows(2) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    if ((first == 0xf0 && byte(1) < 0x90) || (first == 0xf4 && byte(1) > 0x8f)) return 0;
    return follows(1) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

constexpr size_t kLongestEscape = 6;  // \u001f; what one byte of text can become

/// Appends text as the inside of a JSON string; what is not UTF-8 becomes U+FFFD.
char* append_escaped(char* to, std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  auto append = [&](std::string_view piece) {
    std::memcpy(to, piece.data(), piece.size());
    to += piece.size();
  };
  while (!text.empty()) {
    size_t size = utf8_sequence(text);
    char c = text.front();
    if (size == 0) {
      append("\xef\xbf\xbd");
      size = 1;
    } else if (c == '"' || c == '\\') {
      *to++ = '\\';
      *to++ = c;
    } else if (static_cast<uint8_t>(c) < 0x20) {
      append("\\u00");
      *to++ = kHex[c >> 4];
      *to++ = kHex[c & 15];
    } else {
      append(text.substr(0, size));
    }
    text.remove_prefix(size);
  }
  return to;
}

}  // namespace

std::string_view write_problem(const Problem& problem, Arena& arena) {
  constexpr size_t kSyntax = 128;  // keys, quotes and the status
  std::string_view title = reason_phrase(problem.status);
  size_t room = kSyntax + kLongestEscape * (title.size() + problem.detail.size() + problem.code.size() +
                                            problem.request_id.size());
  char* text = arena.allocate_chars(room);
  char* at = text;
  auto append = [&](std::string_view piece) {
    std::memcpy(at, piece.data(), piece.size());
    at += piece.size();
  };
  auto append_member = [&](std::string_view key, std::string_view value) {
    if (value.empty()) return;
    append(key);
    at = append_escaped(at, value);
    append("\"");
  };
  append(R"({"type":"about:blank")");
  append_member(R"(,"title":")", title);
  append(R"(,"status":)");
  at = std::to_chars(at, text + room, problem.status).ptr;
  append_member(R"(,"detail":")", problem.detail);
  append_member(R"(,"code":")", problem.code);
  append_member(R"(,"request_id":")", problem.request_id);
  append("}");
  return {text, static_cast<size_t>(at - text)};
}

}  // namespace sluice::http
