#include "http/cookie.h"

namespace sluice::http {

std::optional<std::string_view> find_cookie(std::string_view cookie_field, std::string_view name) {
  while (!cookie_field.empty()) {
    size_t end = std::min(cookie_field.find(';'), cookie_field.size());
    std::string_view pair = ascii::trim(cookie_field.substr(0, end));
    cookie_field.remove_prefix(std::min(end + 1, cookie_field.size()));
    size_t equals = pair.find('=');
    if (equals == std::string_view::npos || ascii::trim(pair.substr(0, equals)) != name) continue;
    std::string_view value = ascii::trim(pair.substr(equals + 1));
    if (value.size() >= 2 && value.starts_with('"') && value.ends_with('"'))
      value = value.substr(1, value.size() - 2);
    return value;
  }
  return std::nullopt;
}

std::optional<std::string_view> find_cookie(const Fields& fields, std::string_view name) {
  if (!fields.has(FieldName::kCookie)) return std::nullopt;
  for (const Field& field : fields) {
    if (field.id != FieldName::kCookie) continue;
    if (std::optional<std::string_view> value = find_cookie(field.value, name)) return value;
  }
  return std::nullopt;
}

void remove_cookie(Fields& fields, std::string_view name) {
  if (!find_cookie(fields, name)) return;
  std::string_view kept;
  for (const Field& field : fields) {
    if (field.id != FieldName::kCookie) continue;
    std::string_view rest = field.value;
    while (!rest.empty()) {
      size_t end = std::min(rest.find(';'), rest.size());
      std::string_view pair = ascii::trim(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
      bool named = ascii::trim(pair.substr(0, pair.find('='))) == name;
      if (pair.empty() || named) continue;
      kept = kept.empty() ? pair : fields.arena().concat(kept, "; ", pair);
    }
  }
  // RFC 6265, section 5.4: a request has one `Cookie` field.
  if (kept.empty())
    fields.remove(FieldName::kCookie);
  else
    fields.set(FieldName::kCookie, kept);
}

}  // namespace sluice::http
