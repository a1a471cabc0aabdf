#include "limit_model.h"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::sim {

namespace {

constexpr std::chrono::minutes kKolkata(5 * 60 + 30);

uint64_t whole(Duration duration) { return static_cast<uint64_t>(nanoseconds(duration)); }
uint64_t seconds_of(WallTime wall) {
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::seconds>(wall.time_since_epoch()).count());
}

}  // namespace

LimitRule LimitRule::draw(Random& random, Kind kind) {
  LimitRule rule;
  rule.kind = kind;
  rule.count = 2 + random.below(5);
  rule.period = std::chrono::milliseconds(200 * (1 + random.below(10)) + random.below(3));
  rule.burst = 2 + random.below(5);
  rule.unit = static_cast<Unit>(random.below(4));
  rule.in_kolkata = random.below(2) == 0;
  // Where parts of several are made durable at a time.
  if (kind == Kind::kQuota && random.below(4) == 0) rule.count = 2 + random.below(20);
  return rule;
}

std::string LimitRule::text() const {
  auto period_ms = std::chrono::duration_cast<std::chrono::milliseconds>(period).count();
  static constexpr const char* kUnits[] = {"hour", "day", "week", "month"};
  switch (kind) {
    case Kind::kGcra:
      return fmt::format("rate: {}/{}ms, burst: {}", count, period_ms, burst);
    case Kind::kFixedWindow:
      return fmt::format("rate: {}/{}ms, algorithm: fixed_window", count, period_ms);
    case Kind::kSlidingWindow:
      return fmt::format("rate: {}/{}ms, algorithm: sliding_window", count, period_ms);
    case Kind::kQuota:
      return fmt::format("quota: {}/{}, timezone: {}", count, kUnits[static_cast<size_t>(unit)],
                         in_kolkata ? "Asia/Kolkata" : "UTC");
  }
  return {};
}

WallTime LimitRule::period_end(WallTime wall) const {
  using std::chrono::days;
  using std::chrono::sys_days;
  auto ahead = in_kolkata ? kKolkata : std::chrono::minutes(0);
  std::chrono::sys_time<Duration> local(std::chrono::duration_cast<Duration>(wall.time_since_epoch()) +
                                        ahead);
  sys_days day = std::chrono::floor<days>(local);
  std::chrono::sys_time<Duration> end;
  switch (unit) {
    case Unit::kHour:
      end = std::chrono::floor<std::chrono::hours>(local) + std::chrono::hours(1);
      break;
    case Unit::kDay:
      end = day + days(1);
      break;
    case Unit::kWeek:
      end = day + days(8 - static_cast<int>(std::chrono::weekday(day).iso_encoding()));
      break;
    case Unit::kMonth: {
      std::chrono::year_month_day date(day);
      end = sys_days((date.year() / date.month() + std::chrono::months(1)) / 1);
      break;
    }
  }
  return WallTime(std::chrono::duration_cast<WallTime::duration>(end.time_since_epoch() - ahead));
}

Duration LimitModel::interval() const {
  auto count = static_cast<int64_t>(rule_.count);
  return Duration((rule_.period.count() + count - 1) / count);
}

Duration LimitModel::part() const { return Duration((rule_.period.count() + 8) / 9); }

/// A window's number.
uint64_t LimitModel::window(Instant now) const {
  Duration length = rule_.kind == LimitRule::Kind::kSlidingWindow ? part() : rule_.period;
  return whole(now.time_since_epoch()) / whole(length);
}

uint64_t LimitModel::room(Instant now, WallTime wall) const {
  using Kind = LimitRule::Kind;
  uint64_t taken = 0;
  switch (rule_.kind) {
    case Kind::kGcra: {
      Duration filled = std::max(full_at_, now.time_since_epoch()) - now.time_since_epoch();
      Duration left = interval() * static_cast<int64_t>(rule_.burst) - filled;
      return left < Duration::zero() ? 0 : whole(left) / whole(interval());
    }
    case Kind::kFixedWindow: {
      auto found = taken_.find(window(now));
      if (found != taken_.end()) taken = found->second;
      break;
    }
    case Kind::kSlidingWindow:
      // A ninth counts until its last moment has been gone for a whole period.
      for (auto [number, count] : taken_)
        if (number + 10 > window(now)) taken += count;
      break;
    case Kind::kQuota: {
      auto found = taken_.find(seconds_of(rule_.period_end(wall)));
      if (found != taken_.end()) taken = found->second;
      break;
    }
  }
  return rule_.count - std::min(rule_.count, taken);
}

void LimitModel::take(uint64_t cost, Instant now, WallTime wall) {
  if (rule_.kind == LimitRule::Kind::kGcra)
    full_at_ = std::max(full_at_, now.time_since_epoch()) + interval() * static_cast<int64_t>(cost);
  else if (rule_.kind == LimitRule::Kind::kQuota)
    taken_[seconds_of(rule_.period_end(wall))] += cost;
  else
    taken_[window(now)] += cost;
}

Duration LimitModel::until(uint64_t cost, Instant now, WallTime wall) const {
  using Kind = LimitRule::Kind;
  Duration at = now.time_since_epoch();
  switch (rule_.kind) {
    case Kind::kGcra:
      return std::max(full_at_, at) - at -
             interval() * (static_cast<int64_t>(rule_.burst) - static_cast<int64_t>(cost));
    case Kind::kFixedWindow:
      return rule_.period * static_cast<int64_t>(window(now) + 1) - at;
    case Kind::kSlidingWindow:
      // When one ninth after the other has gone.
      for (auto [number, count] : taken_) {
        Instant gone(part() * static_cast<int64_t>(number + 10));
        if (gone > now && fits(cost, gone, wall)) return gone - now;
      }
      return Duration::max();
    case Kind::kQuota:
      return rule_.period_end(wall) - wall;
  }
  return {};
}

const LimitModel* LimitsModel::refusing(uint64_t cost, Instant now, WallTime wall) const {
  const LimitModel* longest = nullptr;
  for (const LimitModel& limit : limits) {
    if (limit.fits(cost, now, wall)) continue;
    if (!longest || limit.until(cost, now, wall) > longest->until(cost, now, wall)) longest = &limit;
  }
  return longest;
}

void LimitsModel::take(uint64_t cost, Instant now, WallTime wall) {
  for (LimitModel& limit : limits) limit.take(cost, now, wall);
  if (refusing(cost, now, wall)) tight_at.push_back(now);
}

std::vector<uint64_t> LimitsModel::rooms(Instant now, WallTime wall) const {
  std::vector<uint64_t> rooms;
  for (const LimitModel& limit : limits) rooms.push_back(limit.room(now, wall));
  return rooms;
}

}  // namespace sluice::sim
