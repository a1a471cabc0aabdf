// Reads the field lines of a head or a trailer section one by one (RFC 9112, section 5). Shared by the two
// parsers and the chunked decoder, so that all three refuse the same.
#pragma once

#include "http/fields.h"
#include "http/h1/byte_scan.h"
#include "http/h1/errors.h"
#include "http/syntax.h"

namespace sluice::http::h1 {

/// Why [at, colon) is no field name.
inline const Error* field_name_error(const char* at, const char* colon) {
  if (*at == ' ' || *at == '\t') return &errors::kObsFold;
  const char* bad = at;
  while (bad != colon && is_token_char(*bad)) ++bad;
  if (bad != at && (*bad == ' ' || *bad == '\t')) {
    const char* next = bad;
    while (next != colon && (*next == ' ' || *next == '\t')) ++next;
    if (next == colon) return &errors::kSpaceBeforeColon;
  }
  return &errors::kBadFieldName;
}

/// Reads the line at `at` into `field` and moves `at` behind its CRLF. [at, end) ends with CRLF.
inline const Error* read_field_line(const char*& at, const char* end, Field& field) {
  const char* colon = find_colon(at, end);
  std::string_view name(at, static_cast<size_t>(colon - at));
  FieldName id = intern_field_name(name);
  bool sound = id != FieldName::kUnknown || is_plain_name(at, name.size(), end) || is_token(name);
  if (colon == end || !sound) [[unlikely]]
    return field_name_error(at, colon);

  const char* first = colon + 1;
  while (*first == ' ' || *first == '\t') ++first;
  const char* last = find_control<0x20>(first, end);
  while (*last == '\t') last = find_control<0x20>(last + 1, end);
  if (*last != '\r' || last[1] != '\n') [[unlikely]]
    return &errors::kBadFieldValue;
  at = last + 2;
  while (last != first && (last[-1] == ' ' || last[-1] == '\t')) --last;
  field = Field{name, {first, static_cast<size_t>(last - first)}, id};
  return nullptr;
}

/// Field names as a set.
constexpr uint64_t name_bit(FieldName id) { return uint64_t{1} << static_cast<int>(id); }
template <class... Names>
constexpr uint64_t name_set(Names... names) {
  return (name_bit(names) | ...);
}

}  // namespace sluice::http::h1
