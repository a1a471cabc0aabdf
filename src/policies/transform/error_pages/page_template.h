// PageTemplate: a text with places for what is known of an error, split when the configuration is compiled.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "base/arena.h"

namespace sluice::policies {

/// `{status}`, `{reason}`, `{code}`, `{detail}`, `{request_id}`; braces around anything else stay as they
/// are.
class PageTemplate {
 public:
  /// How values are written, so that they stay text.
  enum class Escape : uint8_t { kNone, kMarkup, kJson };

  explicit PageTemplate(std::string_view text, Escape escape);

  struct Values {
    uint16_t status = 0;
    std::string_view code;
    std::string_view detail;
    std::string_view request_id;
  };
  /// The text itself where it has no places, else in the arena.
  std::string_view fill(const Values& values, Arena& arena) const;

 private:
  enum class Place : uint8_t { kNone, kStatus, kReason, kCode, kDetail, kRequestId };
  struct Piece {
    std::string text;
    Place after = Place::kNone;
  };
  std::string_view escaped(std::string_view value, Arena& arena) const;

  std::vector<Piece> pieces_;
  Escape escape_;
};

}  // namespace sluice::policies
