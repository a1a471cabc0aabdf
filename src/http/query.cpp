#include "http/query.h"

#include "base/ascii.h"

namespace sluice::http {
namespace {

/// Takes one character off the front of form-encoded text.
char take_decoded(std::string_view& raw) {
  char c = raw.front();
  if (c == '%' && raw.size() >= 3) {
    int high = ascii::hex_value(raw[1]);
    int low = ascii::hex_value(raw[2]);
    if (high >= 0 && low >= 0) {
      raw.remove_prefix(3);
      return static_cast<char>(high << 4 | low);
    }
  }
  raw.remove_prefix(1);
  return c == '+' ? ' ' : c;
}

bool decodes_to(std::string_view raw, std::string_view text) {
  while (!raw.empty() && !text.empty()) {
    if (take_decoded(raw) != text.front()) return false;
    text.remove_prefix(1);
  }
  return raw.empty() && text.empty();
}

/// Takes one `name=value` off the front of a query.
std::string_view take_parameter(std::string_view& query) {
  size_t end = std::min(query.find('&'), query.size());
  std::string_view parameter = query.substr(0, end);
  query.remove_prefix(std::min(end + 1, query.size()));
  return parameter;
}

}  // namespace

std::optional<std::string_view> find_query_parameter(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    std::string_view parameter = take_parameter(query);
    size_t equals = std::min(parameter.find('='), parameter.size());
    if (decodes_to(parameter.substr(0, equals), name))
      return parameter.substr(std::min(equals + 1, parameter.size()));
  }
  return std::nullopt;
}

std::string_view remove_query_parameter(std::string_view query, std::string_view name, Arena& arena) {
  if (!find_query_parameter(query, name)) return query;
  char* kept = arena.allocate_chars(query.size());
  size_t size = 0;
  while (!query.empty()) {
    std::string_view parameter = take_parameter(query);
    if (decodes_to(parameter.substr(0, parameter.find('=')), name)) continue;
    if (size != 0) kept[size++] = '&';
    std::memcpy(kept + size, parameter.data(), parameter.size());
    size += parameter.size();
  }
  return {kept, size};
}

std::string_view decode_query_text(std::string_view raw, Arena& arena) {
  if (raw.find_first_of("%+") == std::string_view::npos) return raw;
  char* text = arena.allocate_chars(raw.size());
  size_t size = 0;
  while (!raw.empty()) text[size++] = take_decoded(raw);
  return {text, size};
}

}  // namespace sluice::http
