// Texts with a path's parameters in them: "/people/{id}", "/new/{rest}?from=old".
#pragma once

#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/exchange.h"

namespace sluice::gateway {

class PathTemplate {
 public:
  /// The error is a sentence about the text.
  static std::expected<PathTemplate, std::string> parse(std::string_view text);

  /// The first parameter that is none of `parameters`, or empty.
  std::string_view missing_from(std::span<const std::string> parameters) const;
  /// With the values of this exchange, still percent-encoded as in the path, in its arena. `after` is put
  /// behind.
  std::string_view fill(const Exchange& exchange, std::string_view after = {}) const;

 private:
  /// A literal text, then perhaps a parameter.
  struct Part {
    std::string literal;
    std::string parameter;  // empty: none
  };
  std::vector<Part> parts_;
};

}  // namespace sluice::gateway
