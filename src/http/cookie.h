// Reading the `Cookie` field (RFC 6265, section 4.2).
#pragma once

#include <optional>
#include <string_view>

#include "http/fields.h"

namespace sluice::http {

/// The value of the first cookie of that name (names have case) in one `Cookie` field value, without the
/// quotes that may stand around it.
std::optional<std::string_view> find_cookie(std::string_view cookie_field, std::string_view name);
/// The same over all `Cookie` fields of a message.
std::optional<std::string_view> find_cookie(const Fields& fields, std::string_view name);

/// Takes every cookie of that name out of all `Cookie` fields; a field without any left goes too.
void remove_cookie(Fields& fields, std::string_view name);

}  // namespace sluice::http
