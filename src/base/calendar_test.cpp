#include "base/calendar.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

using namespace std::chrono;

WallTime utc(int y, unsigned m, unsigned d, int hour = 0, int minute = 0) {
  return WallTime(sys_days(year(y) / month(m) / day(d)).time_since_epoch() + hours(hour) + minutes(minute));
}

struct Case {
  CalendarUnit unit;
  const char* zone;
  WallTime at;
  WallTime start;
  WallTime end;
};

// Expectations by GNU date with TZ set, such as `TZ=Europe/Berlin date -d @...`.
TEST(Calendar, FindsThePeriodOfAnInstant) {
  const Case cases[] = {
      {CalendarUnit::kHour, "UTC", utc(2026, 11, 25, 18, 41), utc(2026, 11, 25, 18), utc(2026, 11, 25, 19)},
      {CalendarUnit::kHour, "Asia/Kolkata", utc(2026, 1, 1, 10, 45), utc(2026, 1, 1, 10, 30),
       utc(2026, 1, 1, 11, 30)},
      {CalendarUnit::kDay, "UTC", utc(2026, 2, 28, 23, 59), utc(2026, 2, 28), utc(2026, 3, 1)},
      {CalendarUnit::kDay, "Europe/Berlin", utc(2026, 7, 1, 22, 30), utc(2026, 7, 1, 22),
       utc(2026, 7, 2, 22)},
      // Clocks go forward: a day of 23 hours; and back: one of 25.
      {CalendarUnit::kDay, "Europe/Berlin", utc(2026, 3, 29, 12), utc(2026, 3, 28, 23), utc(2026, 3, 29, 22)},
      {CalendarUnit::kDay, "Europe/Berlin", utc(2026, 10, 25, 12), utc(2026, 10, 24, 22),
       utc(2026, 10, 25, 23)},
      // They go forward at midnight: the day begins at one o'clock.
      {CalendarUnit::kDay, "America/Santiago", utc(2026, 9, 6, 12), utc(2026, 9, 6, 4), utc(2026, 9, 7, 3)},
      {CalendarUnit::kWeek, "UTC", utc(2026, 11, 25, 1), utc(2026, 11, 23), utc(2026, 11, 30)},
      {CalendarUnit::kWeek, "UTC", utc(2026, 11, 29, 23), utc(2026, 11, 23), utc(2026, 11, 30)},
      {CalendarUnit::kMonth, "UTC", utc(2028, 2, 29, 5), utc(2028, 2, 1), utc(2028, 3, 1)},
      {CalendarUnit::kMonth, "UTC", utc(2026, 12, 31, 23, 59), utc(2026, 12, 1), utc(2027, 1, 1)},
      {CalendarUnit::kMonth, "America/New_York", utc(2026, 11, 1, 3), utc(2026, 10, 1, 4),
       utc(2026, 11, 1, 4)},
  };
  for (const Case& each : cases) {
    Calendar calendar(each.unit, each.zone);
    for (int again = 0; again < 2; ++again) {
      CalendarPeriod period = calendar.at(each.at);
      EXPECT_EQ(period.start, each.start) << each.zone << " " << (&each - cases);
      EXPECT_EQ(period.end, each.end) << each.zone << " " << (&each - cases);
    }
    EXPECT_EQ(calendar.at(each.end).start, each.end);
    EXPECT_EQ(calendar.at(each.start - Duration(1)).end, each.start);
  }
}

TEST(Calendar, KnowsWhichZonesThereAre) {
  EXPECT_NE(TimeZone::find("Europe/Berlin"), nullptr);
  EXPECT_NE(TimeZone::find("UTC"), nullptr);
  EXPECT_EQ(TimeZone::find("Europe/Berlim"), nullptr);
  EXPECT_EQ(TimeZone::find("../../etc/passwd"), nullptr);
  EXPECT_EQ(TimeZone::find(""), nullptr);
}

}  // namespace
}  // namespace sluice
