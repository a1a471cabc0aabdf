// The character classes of HTTP (RFC 9110, section 5.6): tokens, field values, lists. Whatever puts text from
// a configuration, a token's claim or a template into a message checks it with these.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/ascii.h"

namespace sluice::http {

/// tchar (RFC 9110, section 5.6.2).
inline constexpr std::array<bool, 256> kTokenChar = [] {
  std::array<bool, 256> table{};
  for (char c = '0'; c <= '9'; ++c) table[static_cast<uint8_t>(c)] = true;
  for (char c = 'a'; c <= 'z'; ++c)
    table[static_cast<uint8_t>(c)] = table[static_cast<uint8_t>(c - 32)] = true;
  for (char c : std::string_view("!#$%&'*+-.^_`|~")) table[static_cast<uint8_t>(c)] = true;
  return table;
}();
constexpr bool is_token_char(char c) { return kTokenChar[static_cast<uint8_t>(c)]; }
/// A field name, a method, a list element: one or more tchar.
constexpr bool is_token(std::string_view text) {
  for (char c : text)
    if (!is_token_char(c)) return false;
  return !text.empty();
}

/// Visible ASCII, space, tab, obs-text (RFC 9110, section 5.5).
constexpr bool is_field_char(char c) {
  auto byte = static_cast<uint8_t>(c);
  return (byte >= 0x20 && byte != 0x7f) || byte == '\t';
}
/// A field value that can be sent as it stands: no other byte, no white space around it. May be empty.
constexpr bool is_field_value(std::string_view text) {
  for (char c : text)
    if (!is_field_char(c)) return false;
  return ascii::trim(text).size() == text.size();
}

/// Calls `visit(element)` for each non-empty element of a comma-separated list, trimmed (RFC 9110,
/// section 5.6.1). For lists of tokens: a comma inside a quoted string is not treated apart.
template <class Visit>
constexpr void for_each_element(std::string_view list, Visit visit) {
  while (!list.empty()) {
    size_t comma = list.find(',');
    std::string_view element = ascii::trim(list.substr(0, comma));
    if (!element.empty()) visit(element);
    if (comma == std::string_view::npos) return;
    list.remove_prefix(comma + 1);
  }
}
/// Whether a comma-separated list has this token, whatever its case.
constexpr bool list_has(std::string_view list, std::string_view token) {
  bool found = false;
  for_each_element(list,
                   [&](std::string_view element) { found |= ascii::equal_ignoring_case(element, token); });
  return found;
}

}  // namespace sluice::http
