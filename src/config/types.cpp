#include "config/types.h"

#include "base/ascii.h"
#include "config/json_schema.h"

namespace sluice::config::detail {

bool read_boolean(const Node& node, bool& value, Reader& reader) {
  if (!node.is_scalar() || scalar_kind(node) != ScalarKind::kBoolean)
    return reader.expected(node, "`true` or `false`");
  value = ascii::lower(node.text[0]) == 't';
  return true;
}

namespace {

/// The magnitude of an integer of the core schema; nullopt when 64 bits do not hold it.
std::optional<uint64_t> integer_magnitude(std::string_view text) {
  int base = 10;
  if (text.starts_with("0x") || text.starts_with("0o")) {
    base = text[1] == 'x' ? 16 : 8;
    text.remove_prefix(2);
  }
  uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

bool read_integer(const Node& node, int64_t minimum, uint64_t maximum, uint64_t& bits, Reader& reader) {
  if (!node.is_scalar() || scalar_kind(node) != ScalarKind::kInteger)
    return reader.expected(node, "an integer");
  std::string_view text = node.text;
  const bool negative = text[0] == '-';
  if (negative || text[0] == '+') text.remove_prefix(1);
  const auto magnitude = integer_magnitude(text);
  const uint64_t lowest = minimum == 0 ? 0 : ~static_cast<uint64_t>(minimum) + 1;  // its magnitude
  if (!magnitude || *magnitude > (negative ? lowest : maximum))
    return reader.error(node, "out-of-range",
                        "must be from " + std::to_string(minimum) + " to " + std::to_string(maximum));
  bits = negative ? ~*magnitude + 1 : *magnitude;
  return true;
}

bool read_double(const Node& node, double& value, Reader& reader) {
  const ScalarKind kind = node.is_scalar() ? scalar_kind(node) : ScalarKind::kNull;
  if (kind != ScalarKind::kInteger && kind != ScalarKind::kNumber) return reader.expected(node, "a number");
  std::string_view text = node.text;
  if (text[0] == '+') text.remove_prefix(1);
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    return reader.expected(node, "a finite decimal number");
  return true;
}

bool read_string(const Node& node, std::string& value, Reader& reader) {
  if (!node.is_scalar()) return reader.expected(node, "a string");
  const ScalarKind kind = scalar_kind(node);
  if (kind != ScalarKind::kString && !node.resolved)
    return reader.error(node, "wrong-type",
                        "expected a string, found " + describe(node) +
                            (kind == ScalarKind::kNull ? "" : "; write it in quotes"));
  value = node.text;
  return true;
}

bool check_scalar(const Node& node, std::string_view expected, Reader& reader) {
  if (!node.is_scalar()) return reader.expected(node, expected);
  // A plain number goes on, so that the parser may say what it misses: "a duration needs a unit".
  const ScalarKind kind = scalar_kind(node);
  if (kind == ScalarKind::kString || kind == ScalarKind::kInteger || node.resolved) return true;
  return reader.expected(node, expected);
}

bool wrong_value(const Node& node, std::string_view expected, const std::string& why, Reader& reader) {
  if (!why.empty()) return reader.error(node, "invalid-value", why);
  return reader.error(node, "invalid-value",
                      "expected " + std::string(expected) + ", found " + describe(node));
}

int read_choice(const Node& node, std::span<const EnumChoice> choices, Reader& reader) {
  std::vector<std::string_view> known;
  std::string list;
  for (size_t i = 0; i < choices.size(); ++i) {
    const EnumChoice& choice = choices[i];
    if (node.is_scalar() && node.text == choice.text) {
      if (!choice.unsupported) return static_cast<int>(i);
      reader.error(node, "unsupported",
                   "`" + std::string(choice.text) + "` is not supported in this version");
      return -1;
    }
    if (choice.unsupported) continue;
    known.push_back(choice.text);
    list += (list.empty() ? "`" : ", `") + std::string(choice.text) + "`";
  }
  const std::string what = (known.size() > 1 ? "one of " : "") + list;
  const std::string hint = node.is_scalar() && !node.resolved ? suggest(node.text, known) : std::string();
  reader.error(node, node.is_scalar() ? "invalid-value" : "wrong-type",
               "expected " + what + ", found " + describe(node) + hint);
  return -1;
}

std::string plural(const std::string& name) {
  if (name.starts_with('`')) return "any of " + name;
  if (name.starts_with("list of")) return "lists of" + name.substr(7);
  if (name.starts_with("map of")) return "maps of" + name.substr(6);
  if (name == "policy") return "policies";
  return name + (name.ends_with('s') ? "es" : "s");
}

}  // namespace sluice::config::detail
