#include "http/date.h"

namespace sluice::http {
namespace {

void put(char* to, int value, int digits) {
  for (int i = digits - 1; i >= 0; --i, value /= 10) to[i] = static_cast<char>('0' + value % 10);
}

}  // namespace

void format_date(int64_t unix_seconds, std::span<char, kDateBytes> out) {
  constexpr std::string_view kDays = "SunMonTueWedThuFriSat";
  constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  constexpr std::string_view kForm = "Sun, 06 Nov 1994 08:49:37 GMT";
  std::chrono::sys_seconds time{std::chrono::seconds(unix_seconds)};
  auto day = std::chrono::floor<std::chrono::days>(time);
  std::chrono::year_month_day date(day);
  std::chrono::hh_mm_ss clock(time - day);
  char* to = out.data();
  kForm.copy(to, kForm.size());
  kDays.copy(to, 3, std::chrono::weekday(day).c_encoding() * 3);
  put(to + 5, static_cast<int>(static_cast<unsigned>(date.day())), 2);
  kMonths.copy(to + 8, 3, (static_cast<unsigned>(date.month()) - 1) * 3);
  put(to + 12, static_cast<int>(date.year()), 4);
  put(to + 17, static_cast<int>(clock.hours().count()), 2);
  put(to + 20, static_cast<int>(clock.minutes().count()), 2);
  put(to + 23, static_cast<int>(clock.seconds().count()), 2);
}

}  // namespace sluice::http
