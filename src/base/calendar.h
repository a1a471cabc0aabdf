// Calendar periods: which hour, day, week or month of a time zone an instant falls into. For quotas.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/time.h"

namespace date {
class time_zone;
}

namespace sluice {

enum class CalendarUnit : uint8_t { kHour, kDay, kWeek, kMonth };  // weeks begin on Monday (ISO 8601)

/// [start, end), both on whole minutes.
struct CalendarPeriod {
  WallTime start;
  WallTime end;
  bool contains(WallTime at) const { return start <= at && at < end; }
  friend bool operator==(const CalendarPeriod&, const CalendarPeriod&) = default;
};

/// A zone of the system's time zone database, such as `Europe/Berlin`. Lives as long as the process.
class TimeZone {
 public:
  /// Null: the database does not know it.
  static const date::time_zone* find(const std::string& name);
};

/// The periods of one unit in one zone. Shared by all threads.
class Calendar {
 public:
  /// `zone` must be known. A day begins at local midnight, or, where a clock change leaves that out, when the
  /// new day begins; an hour is an hour of local clocks.
  Calendar(CalendarUnit unit, const std::string& zone);

  /// Costs two loads while the period stays the same.
  CalendarPeriod at(WallTime now) const;
  CalendarUnit unit() const { return unit_; }

 private:
  CalendarPeriod find(WallTime now) const;

  const CalendarUnit unit_;
  const date::time_zone* zone_;
  /// The last one found: its start in minutes since 1970, then its length in minutes (16 bits).
  mutable std::atomic<uint64_t> last_{0};
};

}  // namespace sluice
