#include "gateway/router/condition.h"

#include "base/ascii.h"

namespace sluice::gateway {
namespace {

/// `encoded`, decoded, is `plain`.
bool equals_decoded(std::string_view encoded, std::string_view plain) {
  if (encoded.size() < plain.size()) return false;
  size_t matched = 0;
  for (size_t i = 0; i < encoded.size(); ++i) {
    char c = encoded[i] == '+' ? ' ' : encoded[i];
    if (c == '%' && i + 2 < encoded.size()) {
      int high = ascii::hex_value(encoded[i + 1]);
      int low = ascii::hex_value(encoded[i + 2]);
      if (high >= 0 && low >= 0) {
        c = static_cast<char>(high * 16 + low);
        i += 2;
      }
    }
    if (matched == plain.size() || plain[matched] != c) return false;
    ++matched;
  }
  return matched == plain.size();
}

}  // namespace

bool has_field_value(const http::Fields* fields, http::FieldName id, std::string_view name,
                     std::string_view value) {
  if (!fields || !fields->has(id)) return false;
  for (const http::Field& field : *fields) {
    if (field.id != id || field.value != value) continue;
    if (id != http::FieldName::kUnknown || ascii::equal_ignoring_case(field.name, name)) return true;
  }
  return false;
}

bool has_query_value(std::string_view query, std::string_view name, std::string_view value) {
  while (!query.empty()) {
    std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(pair.size() + 1, query.size()));
    if (pair.empty()) continue;
    std::string_view key = pair.substr(0, pair.find('='));
    std::string_view text = pair.substr(std::min(key.size() + 1, pair.size()));
    if (equals_decoded(key, name) && equals_decoded(text, value)) return true;
  }
  return false;
}

}  // namespace sluice::gateway
