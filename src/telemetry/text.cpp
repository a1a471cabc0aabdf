#include "telemetry/text.h"

#include <charconv>
#include <chrono>

namespace sluice::telemetry {
namespace {

constexpr char kHex[] = "0123456789abcdef";
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD
constexpr std::string_view kCut = "...";
constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";

char* append_digits(char* to, uint32_t value, int digits) {
  for (int i = digits - 1; i >= 0; --i, value /= 10) to[i] = static_cast<char>('0' + value % 10);
  return to + digits;
}

/// Whether none of eight bytes is a control, a quote, a backslash or beyond ASCII.
bool plain(uint64_t bytes) {
  constexpr uint64_t kOnes = 0x0101010101010101, kTops = 0x8080808080808080;
  auto has_zero = [](uint64_t x) { return (x - kOnes) & ~x; };
  uint64_t controls = bytes - kOnes * 0x20;
  uint64_t special = bytes | controls | has_zero(bytes ^ (kOnes * '"')) | has_zero(bytes ^ (kOnes * '\\'));
  return (special & kTops) == 0;
}

/// One character's escaped form; `used` is how many bytes of the text it stands for.
struct Piece {
  char bytes[8];
  size_t size;
  size_t used;
};
Piece escape_one(const char* at, const char* end) {
  auto byte = static_cast<unsigned char>(*at);
  auto pair = [](char c) { return Piece{{'\\', c}, 2, 1}; };
  switch (byte) {
    case '"':
    case '\\':
      return pair(static_cast<char>(byte));
    case '\n':
      return pair('n');
    case '\r':
      return pair('r');
    case '\t':
      return pair('t');
    default:
      break;
  }
  if (byte < 0x20) return {{'\\', 'u', '0', '0', kHex[byte >> 4], kHex[byte & 15]}, 6, 1};
  Piece piece{{}, utf8_sequence(at, end), 1};
  if (piece.size == 0) {
    piece.size = kReplacement.size();
    append(piece.bytes, kReplacement);
  } else {
    piece.used = piece.size;
    std::memcpy(piece.bytes, at, piece.size);
  }
  return piece;
}

}  // namespace

char* append_decimal(char* to, uint64_t value) { return std::to_chars(to, to + 20, value).ptr; }

char* append_seconds(char* to, Duration value) {
  uint64_t microseconds = value.count() > 0 ? static_cast<uint64_t>(value.count()) / 1000 : 0;
  to = append_decimal(to, microseconds / 1'000'000);
  *to++ = '.';
  return append_digits(to, static_cast<uint32_t>(microseconds % 1'000'000), 6);
}

size_t utf8_sequence(const char* at, const char* end) {
  auto byte = [&](size_t i) { return static_cast<unsigned char>(at[i]); };
  auto left = static_cast<size_t>(end - at);
  if (left == 0) return 0;
  unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  size_t size = lead >= 0xC2 && lead < 0xE0   ? 2
                : lead >= 0xE0 && lead < 0xF0 ? 3
                : lead >= 0xF0 && lead < 0xF5 ? 4
                                              : 0;
  if (size == 0 || left < size) return 0;
  for (size_t i = 1; i < size; ++i)
    if ((byte(i) & 0xC0) != 0x80) return 0;
  // Overlong forms, surrogates and what lies beyond U+10FFFF show in the second byte.
  if ((lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xED && byte(1) > 0x9F) ||
      (lead == 0xF0 && byte(1) < 0x90) || (lead == 0xF4 && byte(1) > 0x8F))
    return 0;
  return size;
}

char* append_escaped(char* to, std::string_view text, size_t limit) {
  const char* at = text.data();
  const char* end = at + text.size();
  char* stop = to + limit - kCut.size();
  while (at < end) {
    while (end - at >= 8 && stop - to >= 8) {
      uint64_t bytes;
      std::memcpy(&bytes, at, 8);
      if (!plain(bytes)) break;
      std::memcpy(to, &bytes, 8);
      at += 8;
      to += 8;
    }
    // Up to eight bytes one by one, then perhaps plain ones follow again.
    for (const char* until = end - at > 8 ? at + 8 : end; at < until;) {
      auto byte = static_cast<unsigned char>(*at);
      if (byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\') [[likely]] {
        if (to == stop) return append(to, kCut);
        *to++ = *at++;
        continue;
      }
      Piece piece = escape_one(at, end);
      if (static_cast<size_t>(stop - to) < piece.size) return append(to, kCut);
      std::memcpy(to, piece.bytes, sizeof piece.bytes);
      to += piece.size;
      at += piece.used;
    }
  }
  return to;
}

char* append_token(char* to, std::string_view text, size_t limit) {
  if (text.empty()) text = "-";
  for (char c : text.substr(0, limit)) *to++ = c > 0x20 && c < 0x7F && c != '"' ? c : '_';
  return to;
}

CivilTime civil_time(int64_t unix_second) {
  using namespace std::chrono;
  auto time = sys_seconds(std::chrono::seconds(unix_second));
  auto day = floor<days>(time);
  year_month_day date(day);
  auto in_day = static_cast<uint32_t>((time - day).count());
  return {static_cast<uint32_t>(static_cast<int>(date.year())),
          static_cast<unsigned>(date.month()),
          static_cast<unsigned>(date.day()),
          in_day / 3600,
          in_day / 60 % 60,
          in_day % 60};
}

void TimeText::set_second(int64_t unix_second) {
  second_ = unix_second;
  CivilTime t = civil_time(unix_second);
  auto put = [](char*& to, uint32_t value, int digits, char after) {
    to = append_digits(to, value, digits);
    *to++ = after;
  };
  char* to = rfc3339_;
  put(to, t.year, 4, '-');
  put(to, t.month, 2, '-');
  put(to, t.day, 2, 'T');
  put(to, t.hour, 2, ':');
  put(to, t.minute, 2, ':');
  put(to, t.second, 2, '.');
  append(to, "000Z");
  to = common_;
  put(to, t.day, 2, '/');
  to = append(to, kMonths.substr((t.month - 1) * 3, 3));
  *to++ = '/';
  put(to, t.year, 4, ':');
  put(to, t.hour, 2, ':');
  put(to, t.minute, 2, ':');
  put(to, t.second, 2, ' ');
  append(to, "+0000");
}

char* TimeText::append_rfc3339(char* to, WallTime time) {
  auto milliseconds = std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch()).count();
  int64_t second = milliseconds / 1000 - (milliseconds % 1000 < 0 ? 1 : 0);
  if (second != second_) set_second(second);
  std::memcpy(to, rfc3339_, sizeof rfc3339_);
  append_digits(to + 20, static_cast<uint32_t>(milliseconds - second * 1000), 3);
  return to + sizeof rfc3339_;
}

char* TimeText::append_common(char* to, WallTime time) {
  int64_t second = std::chrono::floor<std::chrono::seconds>(time.time_since_epoch()).count();
  if (second != second_) set_second(second);
  std::memcpy(to, common_, sizeof common_);
  return to + sizeof common_;
}

}  // namespace sluice::telemetry
