// Conditions on header fields and query parameters, compiled so that testing one allocates nothing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "gateway/router/request_view.h"
#include "gateway/router/route_spec.h"
#include "http/field_name.h"

namespace sluice::gateway {

/// Texts are offsets into the owner's.
struct Condition {
  ConditionSpec::Kind kind = ConditionSpec::Kind::kHeader;
  http::FieldName field = http::FieldName::kUnknown;  // of a header
  uint32_t name = 0;
  uint32_t name_size = 0;
  uint32_t value = 0;
  uint32_t value_size = 0;
  uint32_t body_path = 0;  // of a body condition: its number in BodyPaths
};

/// Any field of that name has exactly this value; `name` is in any case.
bool has_field_value(const http::Fields* fields, http::FieldName id, std::string_view name,
                     std::string_view value);

/// Any parameter of that name has exactly this value, both decoded as application/x-www-form-urlencoded: '+'
/// is a space, a percent sign that no two hexadecimal digits follow is itself. A parameter without '=' has
/// the empty value.
bool has_query_value(std::string_view query, std::string_view name, std::string_view value);

}  // namespace sluice::gateway
