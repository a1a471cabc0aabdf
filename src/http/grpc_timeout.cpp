#include "http/grpc_timeout.h"

#include <algorithm>
#include <charconv>
#include <chrono>

#include "base/ascii.h"

namespace sluice::http {

namespace {

using namespace std::chrono_literals;

constexpr size_t kMostDigits = 8;
constexpr int64_t kMostNumber = 99'999'999;

/// Nanoseconds in a unit; zero: it is none.
constexpr Duration unit_of(char letter) {
  switch (letter) {
    case 'H':
      return 1h;
    case 'M':
      return 1min;
    case 'S':
      return 1s;
    case 'm':
      return 1ms;
    case 'u':
      return 1us;
    case 'n':
      return 1ns;
    default:
      return 0ns;
  }
}

}  // namespace

std::optional<Duration> parse_grpc_timeout(std::string_view value) {
  if (value.size() < 2 || value.size() > kMostDigits + 1) return std::nullopt;
  auto number = ascii::parse_decimal(value.substr(0, value.size() - 1));
  Duration unit = unit_of(value.back());
  if (!number || unit == Duration::zero()) return std::nullopt;
  auto count = static_cast<int64_t>(*number);
  if (count > Duration::max() / unit) return Duration::max();
  return count * unit;
}

std::string_view write_grpc_timeout(Duration left, Arena& arena) {
  constexpr std::string_view kUnits = "umSMH";
  for (char letter : kUnits) {
    int64_t count = std::max<int64_t>(left / unit_of(letter), 1);
    if (count > kMostNumber) continue;
    char* text = arena.allocate_chars(kMostDigits + 1);
    char* end = std::to_chars(text, text + kMostDigits, count).ptr;
    *end++ = letter;
    return {text, static_cast<size_t>(end - text)};
  }
  return "99999999H";
}

}  // namespace sluice::http
