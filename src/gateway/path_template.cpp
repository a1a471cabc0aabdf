#include "gateway/path_template.h"

#include <algorithm>

namespace sluice::gateway {

std::expected<PathTemplate, std::string> PathTemplate::parse(std::string_view text) {
  PathTemplate parsed;
  while (!text.empty()) {
    size_t open = text.find('{');
    Part& part = parsed.parts_.emplace_back();
    part.literal = text.substr(0, open);
    if (open == std::string_view::npos) break;
    size_t close = text.find('}', open);
    if (close == std::string_view::npos) return std::unexpected("it has a `{` without its `}`");
    part.parameter = text.substr(open + 1, close - open - 1);
    if (part.parameter.empty()) return std::unexpected("it has a `{}` without a name");
    text.remove_prefix(close + 1);
  }
  return parsed;
}

std::string_view PathTemplate::missing_from(std::span<const std::string> parameters) const {
  for (const Part& part : parts_) {
    bool known = part.parameter.empty() || std::ranges::find(parameters, part.parameter) != parameters.end();
    if (!known) return part.parameter;
  }
  return {};
}

std::string_view PathTemplate::fill(const Exchange& exchange, std::string_view after) const {
  size_t size = after.size();
  for (const Part& part : parts_) size += part.literal.size() + exchange.parameter(part.parameter).size();
  char* text = exchange.arena.allocate_chars(size);
  char* at = text;
  auto append = [&](std::string_view piece) { at = std::copy(piece.begin(), piece.end(), at); };
  for (const Part& part : parts_) {
    append(part.literal);
    append(exchange.parameter(part.parameter));
  }
  append(after);
  return {text, size};
}

}  // namespace sluice::gateway
