// ASCII without locale: case, digits, trimming. HTTP's and our configuration's texts are compared with these
// only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::ascii {

constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }
constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_alpha(char c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; }
/// The value of a hexadecimal digit, or -1.
constexpr int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  char l = lower(c);
  return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

/// Eight characters at once, each made lower case by itself.
constexpr uint64_t lower_word(uint64_t word) {
  constexpr uint64_t kOnes = 0x0101010101010101;
  uint64_t low_bits = word & 0x7f * kOnes;
  uint64_t from_a = low_bits + (0x80 - 'A') * kOnes;            // its top bit: at least 'A'
  uint64_t beyond_z = low_bits + (0x7f - 'Z') * kOnes;          // beyond 'Z'
  uint64_t upper = (from_a ^ beyond_z) & ~word & 0x80 * kOnes;  // and no byte of UTF-8
  return word | upper >> 2;
}

constexpr bool equal_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  size_t i = 0;
  if !consteval {
    for (; i + 8 <= a.size(); i += 8) {
      uint64_t word_a;
      uint64_t word_b;
      std::memcpy(&word_a, a.data() + i, 8);
      std::memcpy(&word_b, b.data() + i, 8);
      if (lower_word(word_a) != lower_word(word_b)) return false;
    }
  }
  for (; i < a.size(); ++i)
    if (lower(a[i]) != lower(b[i])) return false;
  return true;
}

inline std::string to_lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = lower(c);
  return out;
}

/// Without leading and trailing spaces and tabs (RFC 9110, section 5.6.3: OWS).
constexpr std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// One or more decimal digits and nothing else; nullopt when it is something else or does not fit.
constexpr std::optional<uint64_t> parse_decimal(std::string_view text) {
  if (text.empty()) return std::nullopt;
  uint64_t value = 0;
  for (char c : text) {
    if (!is_digit(c)) return std::nullopt;
    uint64_t digit = static_cast<uint64_t>(c - '0');
    if (value > (UINT64_MAX - digit) / 10) return std::nullopt;
    value = value * 10 + digit;
  }
  return value;
}

}  // namespace sluice::ascii
