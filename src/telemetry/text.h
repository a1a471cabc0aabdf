// Writing log lines and label values: numbers, times and untrusted text, appended to memory that the caller
// knows to be large enough. Every function returns the end of what it wrote.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/time.h"

namespace sluice::telemetry {

inline char* append(char* to, std::string_view text) {
  std::memcpy(to, text.data(), text.size());
  return to + text.size();
}
/// At most 20 bytes.
char* append_decimal(char* to, uint64_t value);
/// Seconds with six digits, "0.001234"; negative durations are zero. At most 18 bytes.
char* append_seconds(char* to, Duration value);

/// The length of the well-formed UTF-8 sequence at `at` (RFC 3629), or 0.
size_t utf8_sequence(const char* at, const char* end);

/// The inside of a JSON string (RFC 8259, section 7): quotes, backslashes and controls escaped, each byte
/// that is not UTF-8 replaced by U+FFFD. Writes at most `limit` bytes; what does not fit is cut between
/// characters and ends in
/// "...". May scribble over up to 8 bytes behind its end.
char* append_escaped(char* to, std::string_view text, size_t limit);
/// Printing ASCII as it is, quotes, spaces and anything else as '_'; "-" for an empty text. At most `limit`
/// bytes.
char* append_token(char* to, std::string_view text, size_t limit);

/// The date and time of day of a second since 1970, UTC.
struct CivilTime {
  uint32_t year, month, day, hour, minute, second;
};
CivilTime civil_time(int64_t unix_second);

/// Formats instants as RFC 3339 with milliseconds, "2024-05-06T07:08:09.123Z", or as the common log format
/// does, "06/May/2024:07:08:09 +0000"; the text of a second is made once.
class TimeText {
 public:
  static constexpr size_t kRfc3339Bytes = 24;
  static constexpr size_t kCommonBytes = 26;
  char* append_rfc3339(char* to, WallTime time);
  char* append_common(char* to, WallTime time);

 private:
  void set_second(int64_t unix_second);

  int64_t second_ = INT64_MIN;
  char rfc3339_[kRfc3339Bytes];
  char common_[kCommonBytes];
};

}  // namespace sluice::telemetry
