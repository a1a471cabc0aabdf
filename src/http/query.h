// Query strings of `name=value&...` (application/x-www-form-urlencoded), read without being rewritten.
#pragma once

#include <optional>
#include <string_view>

#include "base/arena.h"

namespace sluice::http {

/// The raw value of the first parameter whose decoded name is `name`; empty when it has no "=".
std::optional<std::string_view> find_query_parameter(std::string_view query, std::string_view name);
/// The query without every parameter whose decoded name is `name`; the rest is untouched.
std::string_view remove_query_parameter(std::string_view query, std::string_view name, Arena& arena);
/// Decodes escapes, and "+" as a space; a "%" that starts no escape stands for itself. A view of `raw` when
/// nothing is to be decoded.
std::string_view decode_query_text(std::string_view raw, Arena& arena);

}  // namespace sluice::http
