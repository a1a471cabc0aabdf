// The text of a `Date` field (RFC 9110, section 5.6.7: IMF-fixdate), made once a second.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/time.h"

namespace sluice::http {

inline constexpr size_t kDateBytes = 29;  // "Sun, 06 Nov 1994 08:49:37 GMT"

/// `unix_seconds` in the years 0 to 9999.
void format_date(int64_t unix_seconds, std::span<char, kDateBytes> out);

/// The current date's text; one a worker.
class DateCache {
 public:
  /// Valid until the next call.
  std::string_view at(WallTime now) {
    int64_t second = std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count();
    if (second != second_) {
      format_date(second, text_);
      second_ = second;
    }
    return {text_, kDateBytes};
  }

 private:
  int64_t second_ = INT64_MIN;
  char text_[kDateBytes] = {};
};

}  // namespace sluice::http
