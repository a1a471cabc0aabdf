// The fields of a head that speak about this connection and not about the message (RFC 9110, section 7.6.1):
// read here, never passed on. Shared by the request and the response parser.
#pragma once

#include <cstdint>
#include <string_view>

#include "http/h1/errors.h"
#include "http/h1/field_lines.h"

namespace sluice::http::h1 {

class ConnectionFields {
 public:
  static constexpr uint64_t kNames =
      name_set(FieldName::kConnection, FieldName::kContentLength, FieldName::kTransferEncoding,
               FieldName::kKeepAlive, FieldName::kProxyConnection, FieldName::kTe, FieldName::kUpgrade,
               FieldName::kHttp2Settings, FieldName::kProxyAuthenticate, FieldName::kProxyAuthorization);

  bool close = false;
  bool keep_alive = false;
  bool upgrade = false;
  bool te_trailers = false;
  std::string_view upgrade_to;

  uint32_t lengths = 0;  // Content-Length fields seen
  bool lengths_differ = false;
  std::string_view length;

  uint32_t codings = 0;  // Transfer-Encoding fields seen
  std::string_view coding;

  /// Takes a field whose id is in kNames.
  const Error* take(const Field& field, Arena& arena) {
    switch (field.id) {
      case FieldName::kConnection:
        return take_options(field.value, arena);
      case FieldName::kContentLength:
        lengths_differ |= lengths != 0 && field.value != length;
        ++lengths;
        length = field.value;
        return nullptr;
      case FieldName::kTransferEncoding:
        ++codings;
        coding = field.value;
        return nullptr;
      case FieldName::kTe:
        te_trailers |= list_has(field.value, "trailers");
        return nullptr;
      case FieldName::kUpgrade:
        if (upgrade_to.empty()) upgrade_to = field.value;
        return nullptr;
      default:
        return nullptr;
    }
  }

  /// Removes what `Connection` names. A name of ours is either in kNames, and never got in, or for all
  /// recipients, and stays.
  void remove_named(Fields& fields) const {
    if (named_count_ == 0) return;
    fields.remove_if([&](const Field& field) {
      if (field.id != FieldName::kUnknown) return false;
      for (uint32_t i = 0; i < named_count_; ++i)
        if (ascii::equal_ignoring_case(field.name, named_[i])) return true;
      return false;
    });
  }

  /// Whether the body is chunked; null when it is, else the error.
  const Error* check_coding() const {
    if (codings == 1 && ascii::equal_ignoring_case(coding, "chunked")) return nullptr;
    if (codings != 1 || !is_coding_list(coding)) return &errors::kBadTransferEncoding;
    return &errors::kUnknownCoding;
  }

 private:
  static constexpr uint32_t kMostNamed = 32;

  const Error* take_options(std::string_view options, Arena& arena) {
    if (ascii::equal_ignoring_case(options, "keep-alive")) {
      keep_alive = true;
      return nullptr;
    }
    const Error* error = nullptr;
    for_each_element(options, [&](std::string_view option) {
      if (ascii::equal_ignoring_case(option, "close")) {
        close = true;
      } else if (ascii::equal_ignoring_case(option, "keep-alive")) {
        keep_alive = true;
      } else if (ascii::equal_ignoring_case(option, "upgrade")) {
        upgrade = true;
      } else if (intern_field_name(option) == FieldName::kUnknown) {
        if (named_count_ == kMostNamed) {
          error = &errors::kTooManyOptions;
          return;
        }
        if (!named_) named_ = arena.allocate_array<std::string_view>(kMostNamed).data();
        named_[named_count_++] = option;
      }
    });
    return error;
  }

  /// A list of codings in which chunked, if it is there, is the last and the only one of its name; one that
  /// we could understand if we had the codings.
  static bool is_coding_list(std::string_view list) {
    bool sound = true;
    bool chunked = false;
    size_t count = 0;
    for_each_element(list, [&](std::string_view element) {
      ++count;
      std::string_view name = ascii::trim(element.substr(0, element.find(';')));
      sound &= is_token(name) && !chunked;
      bool is_chunked = ascii::equal_ignoring_case(name, "chunked");
      sound &= !is_chunked || name.size() == element.size();
      chunked |= is_chunked;
    });
    return sound && count != 0 && !(chunked && count == 1);
  }

  std::string_view* named_ = nullptr;  // unknown names in Connection, in the arena
  uint32_t named_count_ = 0;
};

/// The value of a Content-Length that is a plain number which leaves room for sums.
constexpr std::optional<uint64_t> parse_content_length(std::string_view text) {
  std::optional<uint64_t> value = ascii::parse_decimal(text);
  if (value && *value > INT64_MAX) return std::nullopt;
  return value;
}

}  // namespace sluice::http::h1
