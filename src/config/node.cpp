#include "config/node.h"

#include "base/ascii.h"

namespace sluice::config {

namespace {

constexpr size_t kShownCharacters = 40;

bool all_digits(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return ascii::is_digit(c); });
}

std::string_view without_sign(std::string_view text) {
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) text.remove_prefix(1);
  return text;
}

bool is_integer(std::string_view text) {
  if (text.starts_with("0x"))
    return text.size() > 2 &&
           std::ranges::all_of(text.substr(2), [](char c) { return ascii::hex_value(c) >= 0; });
  if (text.starts_with("0o"))
    return text.size() > 2 &&
           std::ranges::all_of(text.substr(2), [](char c) { return c >= '0' && c <= '7'; });
  return all_digits(without_sign(text));
}

/// [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?
bool is_number(std::string_view text) {
  text = without_sign(text);
  if (text == ".inf" || text == ".Inf" || text == ".INF" || text == ".nan" || text == ".NaN" ||
      text == ".NAN")
    return true;
  if (auto e = text.find_first_of("eE"); e != text.npos) {
    if (!all_digits(without_sign(text.substr(e + 1)))) return false;
    text = text.substr(0, e);
  }
  auto dot = text.find('.');
  if (dot == text.npos) return all_digits(text);
  const std::string_view whole = text.substr(0, dot);
  const std::string_view fraction = text.substr(dot + 1);
  if (whole.empty()) return all_digits(fraction);
  return all_digits(whole) && (fraction.empty() || all_digits(fraction));
}

/// Cut to what fits a message, never within a character.
std::string shown(std::string_view text) {
  std::string out;
  size_t at = 0;
  for (size_t count = 0; at < text.size() && count < kShownCharacters; ++count) {
    const char c = text[at];
    out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
    ++at;
    while (at < text.size() && (text[at] & 0xc0) == 0x80) out += text[at++];
  }
  if (at < text.size()) out += "...";
  return out;
}

}  // namespace

const Node* Node::find(std::string_view name) const {
  for (uint32_t i = 0; i < member_count(); ++i)
    if (key(i).text == name) return &value(i);
  return nullptr;
}

ScalarKind scalar_kind(const Node& node) {
  if (node.quoted && !node.resolved) return ScalarKind::kString;
  const std::string_view text = node.text;
  if (text.size() > 64) return ScalarKind::kString;
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL")
    return ScalarKind::kNull;
  if (text == "true" || text == "True" || text == "TRUE" || text == "false" || text == "False" ||
      text == "FALSE")
    return ScalarKind::kBoolean;
  const char first = text[0];
  if (!ascii::is_digit(first) && first != '-' && first != '+' && first != '.') return ScalarKind::kString;
  if (is_integer(text)) return ScalarKind::kInteger;
  return is_number(text) ? ScalarKind::kNumber : ScalarKind::kString;
}

std::string describe(const Node& node) {
  if (node.is_sequence()) return "a list";
  if (node.is_mapping()) return "a mapping";
  if (node.resolved) return "the value of a reference";
  switch (scalar_kind(node)) {
    case ScalarKind::kNull:
      return "nothing";
    case ScalarKind::kBoolean:
      return "the boolean `" + std::string(node.text) + "`";
    case ScalarKind::kInteger:
    case ScalarKind::kNumber:
      return "the number `" + std::string(node.text) + "`";
    case ScalarKind::kString:
      return "the string `" + shown(node.text) + "`";
  }
  return {};
}

}  // namespace sluice::config
