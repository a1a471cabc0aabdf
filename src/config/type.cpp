#include "config/type.h"

#include <cmath>

namespace sluice::config {

bool Reader::error(const Node& at, std::string_view rule, std::string message) {
  diagnostics_.error(at, rule, std::move(message));
  return false;
}

bool Reader::expected(const Node& at, std::string_view what) {
  return error(at, "wrong-type", "expected " + std::string(what) + ", found " + describe(at));
}

void Reader::warning(const Node& at, std::string_view rule, std::string message) {
  diagnostics_.warning(at, rule, std::move(message));
}

std::string Type::bound_text(double bound) const {
  JsonWriter json(false);
  if (bound == std::floor(bound) && std::abs(bound) < 1e18)
    json.integer(static_cast<int64_t>(bound));
  else
    json.number(bound);
  return json.take();
}

}  // namespace sluice::config
