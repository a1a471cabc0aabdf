// Which fields of a message HTTP/2 carries (RFC 9113, section 8.2.2).
#pragma once

#include <span>

#include "http/fields.h"
#include "http/h1/connection_fields.h"

namespace sluice::http::h2 {

/// What it says in another way, or not at all. `TE` and `Content-Length` are made anew.
inline constexpr uint64_t kNotSent = h1::name_set(
    FieldName::kConnection, FieldName::kContentLength, FieldName::kTransferEncoding, FieldName::kKeepAlive,
    FieldName::kProxyConnection, FieldName::kTe, FieldName::kUpgrade, FieldName::kHttp2Settings);
constexpr bool is_sent(const Field& field) { return !(kNotSent >> static_cast<int>(field.id) & 1); }

/// A decimal number as text in `arena`.
inline std::string_view decimal(uint64_t number, Arena& arena) {
  constexpr size_t kMostDigits = 20;
  char* text = arena.allocate_chars(kMostDigits);
  return {text, static_cast<size_t>(std::to_chars(text, text + kMostDigits, number).ptr - text)};
}

}  // namespace sluice::http::h2
