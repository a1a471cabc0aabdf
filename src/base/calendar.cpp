#include "base/calendar.h"

#include <date/tz.h>

#include <stdexcept>

namespace sluice {

namespace {

constexpr int kLengthBits = 16;  // a month has at most 44,700 minutes

/// When local clocks show `local` for the first time; where they skip it, when they do.
WallTime instant_of(const date::time_zone& zone, date::local_seconds local) {
  return WallTime(zone.to_sys(local, date::choose::earliest).time_since_epoch());
}

}  // namespace

const date::time_zone* TimeZone::find(const std::string& name) {
  try {
    return date::locate_zone(name);
  } catch (const std::runtime_error&) {
    return nullptr;
  }
}

Calendar::Calendar(CalendarUnit unit, const std::string& zone) : unit_(unit), zone_(TimeZone::find(zone)) {
  if (!zone_) throw std::invalid_argument("unknown time zone " + zone);
}

CalendarPeriod Calendar::at(WallTime now) const {
  using std::chrono::minutes;
  uint64_t last = last_.load(std::memory_order_relaxed);
  CalendarPeriod period;
  period.start = WallTime(minutes(last >> kLengthBits));
  period.end = period.start + minutes(last & ((uint64_t{1} << kLengthBits) - 1));
  if (period.contains(now)) return period;
  period = find(now);
  auto start = std::chrono::duration_cast<minutes>(period.start.time_since_epoch()).count();
  auto length = std::chrono::duration_cast<minutes>(period.end - period.start).count();
  if (start >= 0)
    last_.store(static_cast<uint64_t>(start) << kLengthBits | static_cast<uint64_t>(length),
                std::memory_order_relaxed);
  return period;
}

CalendarPeriod Calendar::find(WallTime now) const {
  auto whole = std::chrono::floor<std::chrono::seconds>(now);
  date::sys_seconds at(whole.time_since_epoch());
  date::local_seconds local = zone_->to_local(at);
  if (unit_ == CalendarUnit::kHour) {
    // Counted within the offset of the moment: an hour that clocks show twice is two.
    auto into = local - date::floor<std::chrono::hours>(local);
    WallTime start = whole - into;
    return {start, start + std::chrono::hours(1)};
  }
  date::local_days day = date::floor<date::days>(local);
  date::local_days first = day;
  date::local_days next = day + date::days(1);
  if (unit_ == CalendarUnit::kWeek) {
    first = day - (date::weekday(day) - date::Monday);
    next = first + date::weeks(1);
  } else if (unit_ == CalendarUnit::kMonth) {
    date::year_month_day ymd(day);
    first = date::local_days(ymd.year() / ymd.month() / 1);
    next = date::local_days(ymd.year() / ymd.month() / 1 + date::months(1));
  }
  return {instant_of(*zone_, first), instant_of(*zone_, next)};
}

}  // namespace sluice
